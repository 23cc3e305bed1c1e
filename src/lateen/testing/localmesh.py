"""The small mesh of `localnode` as tests use it: started in namespaces of its own, spoken to over its API.

Must not be used by the product.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from lateen.api.decode import decode_documents
from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.local.replicasets import is_ready
from lateen.sources.kubeclient import Endpoint, KubeClient
from lateen.testing.waiting import wait_until

__all__ = ["Mesh", "Object", "mesh", "until"]

SECONDS = 40.0
Object = dict[str, Any]
T = TypeVar("T")


class Mesh:
    """A running mesh. Every method is a call of its own to the API, as `lateen`'s commands make them."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The parent on the host."""
        if self._process is None:
            raise AssertionError("the mesh has not been started")
        return self._process

    def start(self) -> None:
        """Return when the API answers and every pod's status is of this run."""
        said = self.folder / "said"
        with said.open("w") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lateen.testing.localnode", str(self.folder), *self._words], stdout=file, stderr=file
            )
        until(lambda: "ready" in said.read_text() or self.process.poll() is not None, "the mesh to start")
        if self.process.poll() is not None:
            raise AssertionError(said.read_text())

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)

    def said(self) -> str:
        """What it wrote on its standard streams."""
        return (self.folder / "said").read_text()

    def call(self, work: Callable[[KubeClient], Coroutine[Any, Any, T]]) -> T:
        """One conversation with the API."""

        async def talk() -> T:
            client = KubeClient(Endpoint(unix=str(self.folder / "api.sock")))
            try:
                async with asyncio.timeout(SECONDS):
                    return await work(client)
            finally:
                client.close()

        return asyncio.run(talk())

    def apply(self, text: str) -> None:
        """Create the objects of a YAML text, or patch them where they are there."""

        async def write(client: KubeClient) -> None:
            for each in decode_documents(text.encode(), "test"):
                if each.key is None or each.problems:
                    raise AssertionError(each.problems)
                info = info_of(each.key.kind)
                try:
                    await client.create(info, each.raw)
                except ApiError as error:
                    if error.reason != "AlreadyExists":
                        raise
                    await client.patch(info, each.key.name, each.raw, each.key.namespace or "default")

        self.call(write)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """One object, or None."""

        async def read(client: KubeClient) -> Object | None:
            try:
                return await client.get(info_of(kind), name, namespace)
            except ApiError as error:
                if error.code == 404:
                    return None
                raise

        return self.call(read)

    def items(self, kind: str, namespace: str = "default", selector: str = "") -> list[Object]:
        """The objects of a kind."""

        async def read(client: KubeClient) -> list[Object]:
            return (await client.list(info_of(kind), namespace, label_selector=selector)).items

        return self.call(read)

    def patch(self, kind: str, name: str, patch: Mapping[str, object], namespace: str = "default") -> None:
        """A merge patch."""
        self.call(lambda client: client.patch(info_of(kind), name, patch, namespace))

    def delete(self, kind: str, name: str, namespace: str = "default", grace: int | None = None) -> None:
        """Delete an object; pods go when they have ended."""
        self.call(lambda client: client.delete(info_of(kind), name, namespace, grace=grace))

    def logs(self, pod: str, container: str, *, tail: int | None = None, previous: bool = False) -> str:
        """What a container has printed so far."""

        async def read(client: KubeClient) -> str:
            return b"".join([chunk async for chunk in client.logs("default", pod, container, tail=tail, previous=previous)]).decode()

        return self.call(read)

    def exec(self, pod: str, container: str, *command: str, data: bytes = b"", tty: bool = False) -> tuple[int, str]:
        """Run a command in a container: its exit code, and what it printed."""

        async def run(client: KubeClient) -> tuple[int, str]:
            async with await client.exec("default", pod, container, command, stdin=bool(data), tty=tty) as stream:
                if data:
                    await stream.write(data)
                    await stream.close_input()
                said = b"".join([chunk async for _channel, chunk in stream.output()])
                return -1 if stream.exit_code is None else stream.exit_code, said.decode()

        return self.call(run)

    def pods(self, selector: str = "") -> list[Object]:
        """Pods that are not going."""
        return [each for each in self.items("Pod", selector=selector) if "deletionTimestamp" not in each["metadata"]]

    def pod(self, name: str) -> Object:
        """One pod; it must be there."""
        found = self.get("Pod", name)
        if found is None:
            raise AssertionError(f"no pod {name}")
        return found

    def container(self, pod: str, name: str) -> Object:
        """The status of a container; empty before there is one."""
        statuses = self.pod(pod).get("status", {}).get("containerStatuses", [])
        return next((each for each in statuses if each["name"] == name), {})

    def ready(self, selector: str, count: int = 1) -> list[str]:
        """Wait until that many pods are there and ready; their names."""
        until(
            lambda: len([each for each in self.pods(selector) if is_ready(each)]) == count == len(self.pods(selector)),
            f"{count} of {selector}",
        )
        return [each["metadata"]["name"] for each in self.pods(selector)]

    def events(self, pod: str) -> list[tuple[str, str]]:
        """Reason and message of a pod's events."""
        found = [each for each in self.items("Event") if each["involvedObject"]["name"] == pod]
        return [(each["reason"], each["message"]) for each in found]


def until(seen: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait for something that another process does."""
    wait_until(seen, seconds=seconds, what=what)


@contextmanager
def mesh(folder: Path, *words: str) -> Iterator[Mesh]:
    """A mesh that is ended with the test."""
    running = Mesh(folder, *words)
    running.start()
    try:
        yield running
    finally:
        running.stop()
