"""Samples as real programs on free loopback ports, and handlers served in the test's own process."""

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

import pytest

from lateen.samples.web import Handler, Server, listen


class Program(NamedTuple):
    """A sample that runs; `ports` are those it said it listens on, `log` grows while it runs."""

    process: subprocess.Popen[bytes]
    ports: tuple[int, ...]
    log: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"


Start = Callable[..., Program]
Serving = Callable[[Handler], AbstractAsyncContextManager[str]]


def _line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(timeout=20), "the sample says nothing within 20 s"
    return process.stdout.readline().decode()


def _drain(process: subprocess.Popen[bytes], log: list[str]) -> None:
    assert process.stdout is not None
    log.extend(line.decode() for line in process.stdout)


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """`start(name, *arguments, listeners=1, **environment)`; ends every program with the module."""
    running: list[subprocess.Popen[bytes]] = []
    drains: list[threading.Thread] = []

    def run(name: str, *arguments: str, listeners: int = 1, **environment: str) -> Program:
        argv = [sys.executable, "-P", "-m", f"lateen.samples.{name}", *(arguments or ("0",))]
        env: Mapping[str, str] = {**os.environ, "HOSTNAME": f"{name}-pod", **environment}
        process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        running.append(process)
        said = [_line(process) for _ in range(listeners)]
        assert all("listening on port" in line for line in said), said
        thread = threading.Thread(target=_drain, args=(process, said))
        thread.start()
        drains.append(thread)
        return Program(process, tuple(int(line.split()[-1]) for line in said), said)

    yield run
    for process in running:
        process.terminate()
        process.wait(timeout=20)
    for thread in drains:
        thread.join(timeout=20)
    for process in running:
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def serving() -> Serving:
    """Run a handler behind the samples' own server while the context lasts; it gives the address."""

    @asynccontextmanager
    async def serve(handler: Handler) -> AsyncIterator[str]:
        listener = listen(0)
        server = Server(handler, log=lambda _: None)
        await server.start(listener)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        await server.stop(grace=0)

    return serve
