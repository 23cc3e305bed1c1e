"""The status door: routes, who may drain and quit, and connections that are used again."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from lateen.serve.http_status import Headers, StatusServer

Ask = Callable[[str], Awaitable[tuple[int, bytes]]]


class Backend:
    """Answers and remembers."""

    def __init__(self) -> None:
        self.why = ""
        self.did: list[str] = []

    async def obstacle(self) -> str:
        return self.why

    async def metrics(self, headers: Headers) -> tuple[str, bytes]:
        return "text/plain", b"metric 1\n"

    async def probe(self, path: str, headers: Headers) -> tuple[int, bytes]:
        return 418, f"{path} {dict(headers)['user-agent']}".encode()

    async def drain(self) -> None:
        self.did.append("drain")

    def quit(self) -> None:
        self.did.append("quit")

    def names(self) -> bytes:
        return b"{}"


def serve(backend: Backend, act: Callable[[Ask], Awaitable[None]]) -> None:
    """Run `act` with a way to ask over one and the same connection."""

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        server = StatusServer(listener, backend)
        await server.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())

        async def ask(line: str) -> tuple[int, bytes]:
            writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nUser-Agent: kube-probe\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(each.split(b":")[1]) for each in head.split(b"\r\n") if each.lower().startswith(b"content-length"))
            return int(head.split()[1]), b"" if line.startswith("HEAD") else await reader.readexactly(length)

        try:
            async with asyncio.timeout(5):
                await act(ask)
        finally:
            await server.stop()
            assert await reader.read() == b"", "stop closes what is open"
            writer.close()

    asyncio.run(run())


def test_readiness_has_its_reason() -> None:
    """200 when ready, 503 with the obstacle when not; HEAD as well."""

    async def act(ask: Ask) -> None:
        assert await ask("GET /healthz/ready") == (200, b"")
        backend.why = "workers have not yet started"
        assert await ask("GET /healthz/ready?verbose") == (503, b"workers have not yet started\n")
        assert await ask("HEAD /healthz/ready") == (503, b"")
        assert (await ask("GET /healthz/ready"))[0] == 503, "the connection goes on after a HEAD"

    backend = Backend()
    serve(backend, act)


def test_metrics_and_probes_are_the_backends() -> None:
    """One page under both paths; a probe's status, path and headers pass through."""

    async def act(ask: Ask) -> None:
        assert await ask("GET /stats/prometheus") == await ask("GET /metrics") == (200, b"metric 1\n")
        assert await ask("GET /app-health/app/livez") == (418, b"/app-health/app/livez kube-probe")
        assert (await ask("GET /nowhere"))[0] == 404
        assert (await ask("POST /stats/prometheus"))[0] == 405

    serve(Backend(), act)


def test_drain_and_quit_are_asked_by_post_from_loopback() -> None:
    """A crawler's GET ends nothing."""

    async def act(ask: Ask) -> None:
        assert (await ask("GET /quitquitquit"))[0] == 405 and backend.did == []
        assert (await ask("POST /drain"))[0] == 200
        assert (await ask("POST /quitquitquit"))[0] == 200
        assert backend.did == ["drain", "quit"]
        assert await ask("GET /debug/ndsz") == (200, b"{}")

    backend = Backend()
    serve(backend, act)


@pytest.mark.parametrize("path", ["/quitquitquit", "/drain", "/debug/ndsz"])
def test_strangers_may_not_end_the_proxy(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes from outside the pod is refused."""

    async def act(ask: Ask) -> None:
        assert (await ask(f"POST {path}"))[0] == 403 and backend.did == []
        assert (await ask("GET /healthz/ready"))[0] == 200

    monkeypatch.setattr("lateen.serve.http_status._is_loopback", lambda _peer: False)
    backend = Backend()
    serve(backend, act)


def test_garbage_ends_the_connection_only() -> None:
    """What is no HTTP is hung up on; others are served on."""

    async def act(ask: Ask) -> None:
        with pytest.raises(asyncio.IncompleteReadError):
            await ask("\x00\x01 what")

    serve(Backend(), act)
