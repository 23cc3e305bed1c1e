"""A node of the test's own: it keeps logs in memory and runs commands as plain processes."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from lateen.kube.errors import bad_request
from lateen.kube.options import LogOptions
from lateen.serve.http_kube.node import STDERR, STDOUT, TokenHolder


class ProcessSession:
    """A command as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.sizes: list[tuple[int, int]] = []

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()

        async def pump(channel: int, stream: asyncio.StreamReader) -> None:
            while chunk := await stream.read(1 << 14):
                await queue.put((channel, chunk))
            await queue.put(None)

        assert self.process.stdout is not None
        assert self.process.stderr is not None
        pumps = [asyncio.create_task(pump(STDOUT, self.process.stdout)), asyncio.create_task(pump(STDERR, self.process.stderr))]
        open_streams = len(pumps)
        while open_streams:
            item = await queue.get()
            if item is None:
                open_streams -= 1
            else:
                yield item
        await asyncio.gather(*pumps)

    async def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    async def wait(self) -> int:
        return await self.process.wait()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class FakeNode:
    """Every container has the same log; `ends` releases a followed one."""

    def __init__(self) -> None:
        self.lines = [b"one\n", b"two\n", b"three\n"]
        self.sessions: list[ProcessSession] = []
        self.followed = asyncio.Event()
        self.ends = asyncio.Event()

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        if container == "waiting":
            raise bad_request(f'container "{container}" in pod "{pod}" is waiting to start')
        for line in self.lines[-options.tail :] if options.tail else self.lines:
            yield line
        if options.follow:
            self.followed.set()
            await self.ends.wait()
            yield b"last\n"

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ProcessSession:
        pipe = asyncio.subprocess.PIPE
        source = pipe if stdin else asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=source, stdout=pipe, stderr=pipe)
        self.sessions.append(ProcessSession(process))
        return self.sessions[-1]

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", port)

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        return f"token of {account} for {','.join(audiences)}", 2_000_000_000

    async def holder(self, token: str) -> TokenHolder:
        if token != "good":
            raise ValueError("invalid bearer token")
        return TokenHolder(namespace="shop", account="clerk", audiences=("istio-ca", "vault"), pod="web-1", uid="u")


@pytest.fixture
def fake_node() -> type[FakeNode]:
    return FakeNode
