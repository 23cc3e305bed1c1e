"""What the agent asks of the application, and the page of metrics it makes: over socket pairs, with a scripted application."""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import h11
import pytest

from lateen.agent.http import HttpError, Target, call
from lateen.agent.merge_metrics import Metrics, ScrapeTarget, scrape_targets
from lateen.agent.probes import AppProbe, ask_application, read_probers
from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import SystemClock
from lateen.serve.udp_dns import DnsCounters

T = TypeVar("T")
Served = Callable[[h11.Request], tuple[int, Mapping[str, str], bytes] | None]


class Network:
    """A pod where `ports` answer; None as an answer is silence."""

    def __init__(self, **ports: Served) -> None:
        self._ports = {int(name.removeprefix("p")): served for name, served in ports.items()}
        self.asked: list[tuple[str, int, str, dict[str, str]]] = []
        self.open: list[asyncio.Task[None]] = []

    async def listen_tcp(self, host: str, port: int) -> socket.socket:
        raise AssertionError

    async def listen_udp(self, host: str, port: int) -> socket.socket:
        raise AssertionError

    async def connect(self, host: str, port: int) -> socket.socket:
        if port not in self._ports:
            raise ConnectionRefusedError("nobody there")
        ours, theirs = socket.socketpair()
        self.open.append(asyncio.get_running_loop().create_task(self._serve(theirs, host, port)))
        ours.setblocking(False)
        return ours

    async def _serve(self, sock: socket.socket, host: str, port: int) -> None:
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock)
        connection = h11.Connection(h11.SERVER)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(4096)
                connection.receive_data(data)
                if not data:
                    writer.close()
                    return
            elif isinstance(event, h11.Request):
                self.asked.append((host, port, event.target.decode(), {name.decode(): value.decode() for name, value in event.headers}))
                answer = self._ports[port](event)
                if answer is not None:
                    status, headers, body = answer
                    head = h11.Response(status_code=status, headers=[*headers.items(), ("Content-Length", str(len(body)))])
                    for part in (head, h11.Data(data=body), h11.EndOfMessage()):
                        writer.write(connection.send(part) or b"")
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                await writer.drain()
                writer.close()
                return


def says(status: int, body: bytes = b"", **headers: str) -> Served:
    return lambda _request: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def run(network: Network, act: Callable[[], Awaitable[T]]) -> T:
    async def all_of_it() -> T:
        async with asyncio.timeout(10):
            result = await act()
            await asyncio.gather(*network.open)
            return result

    return asyncio.run(all_of_it())


def probe(network: Network, what: AppProbe, **headers: str) -> tuple[int, bytes]:
    sent = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return run(network, lambda: ask_application(network, "10.1.2.3", what, sent))


def test_probe_goes_to_the_pods_address_as_the_kubelet_would() -> None:
    """Path, host and headers are the original probe's; the kubelet's User-Agent is kept, its Host is not."""
    network = Network(p8080=says(200, b"fine"))
    what = AppProbe(port=8080, path="/health?full=1", host="app.local", headers=(("X-Key", "1"),))
    assert probe(network, what, User_Agent="kube-probe/1.32", Host="10.1.2.3:15020") == (200, b"fine")
    ((host, port, path, headers),) = network.asked
    assert (host, port, path) == ("10.1.2.3", 8080, "/health?full=1")
    assert (headers["host"], headers["user-agent"], headers["x-key"]) == ("app.local", "kube-probe/1.32", "1")


def test_applications_refusal_is_passed_on() -> None:
    """503 is 503, with at most 10 KiB of the body."""
    assert probe(Network(p80=says(503, b"x" * 50_000)), AppProbe(port=80, path="/")) == (503, b"x" * 10_240)


def test_application_that_is_not_there_or_silent_fails_the_probe() -> None:
    """500 with a sentence."""
    status, body = probe(Network(), AppProbe(port=80, path="/"))
    assert status == 500 and b"gave no answer" in body
    status, body = probe(Network(p80=lambda _request: None), AppProbe(port=80, path="/", seconds=0.05))
    assert status == 500 and b"did not answer GET / within 0.05 s" in body


def test_redirects_stay_with_the_application() -> None:
    """Its own redirect is followed; one to another host ends there, with success as the kubelet has it; circles end."""
    own = Network(p80=lambda request: (302, {"Location": "/there?a=1"}, b"") if request.target == b"/" else (204, {}, b""))
    assert probe(own, AppProbe(port=80, path="/")) == (204, b"")
    assert [path for _, _, path, _ in own.asked] == ["/", "/there?a=1"]
    assert probe(Network(p80=says(302, Location="http://evil.example/")), AppProbe(port=80, path="/"))[0] == 302
    status, body = probe(Network(p80=says(302, Location="/")), AppProbe(port=80, path="/"))
    assert status == 500 and b"10 redirects" in body


def test_https_probe_does_not_check_the_certificate(tmp_path: Path) -> None:
    """As the kubelet's: applications have certificates that nobody here trusts."""

    class Loopback(Network):
        async def connect(self, host: str, port: int) -> socket.socket:
            sock = socket.socket()
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            return sock

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    async def act() -> tuple[int, bytes]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await ask_application(network, "127.0.0.1", AppProbe(port=port, path="/", tls=True), [])

    identity = Identity("nobody", "a", "b")
    key, request = new_request(identity)
    now = SystemClock().now()
    file = tmp_path / "own.pem"
    file.write_bytes(key.reveal() + Signer(SelfSignedRoot.create("nobody", now)).sign(request, identity, 0, now)[0])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    network = Loopback()
    assert run(network, act) == (201, b"")


def test_tcp_probe_connects() -> None:
    """A port that takes connections is enough."""
    assert probe(Network(p5432=says(200)), AppProbe(port=5432)) == (200, b"")
    assert probe(Network(), AppProbe(port=5432))[0] == 500


def test_probers_are_read_as_the_injector_writes_them() -> None:
    """ISTIO_KUBE_APP_PROBERS: HTTP(S) and TCP; what cannot be asked is told."""
    headers = [{"name": "host", "value": "h"}, {"name": "K", "value": "v"}]
    https = {"path": "/live", "port": 8080, "scheme": "HTTPS", "httpHeaders": headers}
    text = json.dumps({
        "/app-health/app/livez": {"httpGet": https, "timeoutSeconds": 3},
        "/app-health/app/readyz": {"tcpSocket": {"port": 9000}},
        "/app-health/app/startupz": {"grpc": {"port": 1}},
    })  # fmt: skip
    probes, refused = read_probers(text)
    assert probes == {
        "/app-health/app/livez": AppProbe(port=8080, path="/live", tls=True, host="h", headers=(("K", "v"),), seconds=3.0),
        "/app-health/app/readyz": AppProbe(port=9000),
    }
    assert len(refused) == 1 and "startupz" in refused[0]
    assert read_probers("") == ({}, ()) and "not JSON" in read_probers("{")[1][0]


def test_answer_that_ends_early_is_no_answer() -> None:
    """Half a body must not pass for a whole one."""

    class Halved(Network):
        async def connect(self, host: str, port: int) -> socket.socket:
            ours, theirs = socket.socketpair()
            theirs.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            theirs.close()
            ours.setblocking(False)
            return ours

    network = Halved()
    with pytest.raises(HttpError, match="gave no answer"):
        run(network, lambda: call(network, Target("127.0.0.1", 80), "GET", "/"))


ENVOY = says(200, b"envoy_server_live 1\n", Content_Type="text/plain")


def page(network: Network, scrape: tuple[ScrapeTarget, ...] = (), dns: DnsCounters | None = None) -> tuple[str, str]:
    async def act() -> tuple[str, bytes]:
        metrics = Metrics(network, "10.1.2.3", 15090, scrape)
        metrics.dns = dns
        return await metrics.page([("accept", "application/openmetrics-text"), ("cookie", "x")])

    kind, body = run(network, act)
    return kind, body.decode()


def test_metrics_come_in_order_agent_envoy_application() -> None:
    """The application's comes last with its content type, as its OpenMetrics page ends with # EOF; the scraper's Accept is passed on."""
    network = Network(p15090=ENVOY, p9080=says(200, b"app_requests 3\n# EOF", Content_Type="application/openmetrics-text; version=1.0.0"))
    kind, text = page(network, (ScrapeTarget(9080),))
    assert kind == "application/openmetrics-text; version=1.0.0"
    assert text.index("istio_agent_") < text.index("envoy_server_live") < text.index("app_requests") and text.endswith("# EOF\n")
    assert network.asked[1][2] == "/metrics" and network.asked[1][3]["accept"] == "application/openmetrics-text"
    assert "cookie" not in network.asked[1][3]


def test_failing_part_is_left_out_and_counted() -> None:
    """An application that does not answer costs only its own part, and the next page tells."""
    network = Network(p15090=ENVOY, p9080=says(500))

    async def act() -> str:
        metrics = Metrics(network, "10.1.2.3", 15090, (ScrapeTarget(9080),))
        await metrics.page(())
        return (await metrics.page(()))[1].decode()

    text = run(network, act)
    assert "envoy_server_live 1" in text and 'istio_agent_scrape_failures_total{type="application"} 1' in text


def test_dns_is_counted() -> None:
    """Istio's names with the agent's prefix."""
    counters = DnsCounters()
    counters.requests, counters.upstream_failures = 5, 2
    text = page(Network(p15090=ENVOY), dns=counters)[1]
    assert "istio_agent_dns_requests_total 5" in text and "istio_agent_dns_upstream_failures_total 2" in text


ON = {"prometheus.io/scrape": "true"}


@pytest.mark.parametrize(
    ("annotations", "targets"),
    [
        ({}, ()),
        (ON, (ScrapeTarget(80, "/metrics"),)),
        ({**ON, "prometheus.io/port": "9080", "prometheus.io/path": "stats?x=1"}, (ScrapeTarget(9080, "/stats?x=1"),)),
        ({"prometheus.io/scrape": "false", "prometheus.io/port": "9080"}, ()),
        ({**ON, "prometheus.io/port": "15020"}, ()),
        ({**ON, "prometheus.io/port": "web"}, ()),
        ({"prometheus.istio.io/scrape-targets": "8080:/m, 9090,15090"}, (ScrapeTarget(8080, "/m"), ScrapeTarget(9090))),
        ({**ON, "prometheus.istio.io/merge-metrics": "false"}, ()),
    ],
)  # fmt: skip
def test_annotations_say_what_is_scraped(annotations: dict[str, str], targets: tuple[ScrapeTarget, ...]) -> None:
    """Istio's defaults; the proxy's own ports are never asked, as they would ask again."""
    assert scrape_targets(annotations) == targets
