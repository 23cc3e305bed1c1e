"""A running API in a thread of its own, and the command line used against it as a person uses it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from lateen.cli.main import main
from lateen.kube.options import LogOptions
from lateen.serve.http_kube.node import STDERR, STDOUT, TokenHolder
from lateen.sources.kubeclient import KubeClient
from lateen.testing.kubeapi import RunningApi, kube_api

SECONDS = 30


class Session:
    """A command that says what it was given and where, and ends with 3."""

    def __init__(self, said: str) -> None:
        self._said = said

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        yield STDOUT, self._said.encode()
        yield STDERR, b"and complains\n"

    async def write(self, data: bytes) -> None:
        raise AssertionError(data)

    async def close_input(self) -> None: ...

    async def resize(self, columns: int, rows: int) -> None: ...

    async def wait(self) -> int:
        return 3

    async def kill(self) -> None: ...


class Node:
    """Says which container it was asked for."""

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        lines = [f"{namespace}/{pod}/{container}\n".encode(), b"last\n"]
        for line in lines[-options.tail :] if options.tail else lines:
            yield line

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> Session:
        return Session(f"{namespace}/{pod}/{container} runs {' '.join(command)}\n")

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise OSError("no ports")

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        return account, seconds

    async def holder(self, token: str) -> TokenHolder:
        raise ValueError("nobody's")


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Cli:
    """`lateen` against the API; `ask` speaks to the API itself."""

    def __init__(self, kubeconfig: Path, ask: Callable[[Callable[[KubeClient], Coroutine[Any, Any, Any]]], Any]) -> None:
        self.kubeconfig = kubeconfig
        self.ask = ask

    def __call__(self, *words: str, text: str | None = None) -> Ran:
        result = CliRunner(env={"KUBECONFIG": str(self.kubeconfig)}).invoke(main, words, input=text)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """The command line, and an empty API that answers it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def there(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(SECONDS)

    opened = kube_api(tmp_path, node=Node(), tls=True)
    try:
        running: RunningApi = there(opened.__aenter__())
        yield Cli(running.kubeconfig, lambda ask: there(ask(running.client)))
        there(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
