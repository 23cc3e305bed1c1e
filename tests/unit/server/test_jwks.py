"""Keys of issuers: fetched from where the control plane may go, kept when an issuer is out, fetched again."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from lateen.server.jwks import KeySets
from lateen.sources.jwks import JwksSource
from lateen.sources.outward import BLOCKED, FetchError, Outward

KEYS = '{"keys":[]}'
FROM_LOOPBACK = tuple(one for one in BLOCKED if not one.startswith("127."))  # tests are served from there


@asynccontextmanager
async def serving(answers: Mapping[str, tuple[int, str, bytes]]) -> AsyncIterator[str]:
    """The address of a server on loopback with these answers by path: status, location, body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
            status, location, body = answers[path]
            fields = f"Content-Length: {len(body)}\r\n" + (f"Location: {location}\r\n" if location else "")
            writer.write(f"HTTP/1.1 {status} x\r\n{fields}\r\n".encode() + body)
            await writer.drain()
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:15014/keys",
        "http://localhost/keys",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/keys",
        "http://[::ffff:127.0.0.1]/keys",
        "http://0.0.0.0/keys",
        "http://2130706433/keys",
        "file:///etc/passwd",
        "ftp://example.com/keys",
        "http://127.0.0.1:notaport/",
        "nonsense",
    ],
)
def test_an_address_that_points_inward_is_not_asked(address: str) -> None:
    """Loopback in every spelling, the link-local range, other schemes: refused with a sentence that names the address."""
    with pytest.raises(FetchError, match=r".+"):
        asyncio.run(JwksSource().fetch(address))


def test_keys_are_fetched_and_a_discovery_document_is_followed_only_outward() -> None:
    """A plain answer is taken; what a document or a redirect names must not be private; too much and errors are refused."""

    async def run() -> None:
        answers = {
            "/keys": (200, "", KEYS.encode()),
            "/moved": (302, "/keys", b""),
            "/.well-known/openid-configuration": (200, "", b'{"jwks_uri": "http://10.0.0.1/keys"}'),
            "/large": (200, "", b" " * (1 << 21)),
            "/gone": (404, "", b""),
            "/binary": (200, "", b"\xff\xfe"),
        }
        async with serving(answers) as base:
            source = JwksSource(Outward(FROM_LOOPBACK))
            assert await source.fetch(f"{base}/keys") == KEYS
            for path, said in {
                "/moved": "is led to 127.0.0.1",
                "/.well-known/openid-configuration": "is led to 10.0.0.1",
                "/large": "larger than",
                "/gone": "answered 404",
                "/binary": "not text",
            }.items():
                with pytest.raises(FetchError, match=said):
                    await source.fetch(f"{base}{path}")

    asyncio.run(run())


class Issuer:
    """Answers what it is told; an exception is raised."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    async def fetch(self, address: str) -> str:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Waits:
    """A clock whose waits are let go one by one."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._go: asyncio.Queue[None] = asyncio.Queue()

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._go.get()

    def go(self) -> None:
        self._go.put_nowait(None)


def test_keys_stay_through_an_outage_and_go_when_nobody_wants_them() -> None:
    """Fetched at once and every 20 minutes; a failure is tried again soon and takes nothing away."""

    async def run() -> None:
        told: list[tuple[str, str | None]] = []
        clock = Waits()
        keys = KeySets(Issuer("one", FetchError("out"), "two"), lambda address, found: told.append((address, found)), clock)
        keys.want(["a"])
        assert await clock.asked.get() == 1200
        clock.go()
        assert await clock.asked.get() < 1
        assert told == [("a", "one")]
        clock.go()
        assert await clock.asked.get() == 1200
        keys.want([])
        assert told == [("a", "one"), ("a", "two"), ("a", None)]
        await keys.stop()

    asyncio.run(asyncio.wait_for(run(), 10))
