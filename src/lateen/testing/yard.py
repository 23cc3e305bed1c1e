"""A network namespace with servers and clients for one Envoy: `python -m lateen.testing.yard`, started inside a new namespace.

Every IPv4 address is its own, so whatever address a configuration names can be dialled and served. Connections of clients that are
`redirected` to a port go there as a pod's are. Reads one JSON object per line from its standard input and answers with one per line:
`{"serve": [...]}` and `{"calls": [...]}`, see `Server` and `Dial`. Must not know what is expected of any call.
"""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from typing import Any

from dnslib import QTYPE, RR, A, DNSRecord
from msgspec import Struct, convert, to_builtins

__all__ = ["Dial", "Heard", "Server", "Tls", "main"]

_SECONDS = 10.0
_MARKS = (15001, 15006)  # ports that marked connections are redirected to; the mark is the port
_SO_MARK = 36
_UNIX = "unix://"
_SLOW = "/after/"  # and seconds: the answer takes its time
_ANY = "0.0.0.0"  # noqa: S104 - in a namespace of its own
_READ = 65536
_SOURCES = cycle(range(20000, 32000))  # below the ports that the kernel gives to others


class Server(Struct, frozen=True, kw_only=True):
    """What listens at a port: HTTP/1.1 that tells what it was asked, with one `status` for all, `tcp`, which answers each line, `connect`,
    an HTTP proxy that shows what it was asked for, or `dns`, which knows one address for every name.
    """

    port: int = 0
    address: str = _ANY
    kind: str = "http"
    status: int = 200
    greeting: str = ""  # of tcp: said before anything is read
    certificate: str = ""  # file of chain and key: TLS
    answer: str = ""  # of dns


class Tls(Struct, frozen=True, kw_only=True):
    """A client's side of TLS; servers are believed. `certificate` is a file with chain and key."""

    name: str = ""
    alpn: tuple[str, ...] = ()
    certificate: str = ""
    newest: str = ""  # version of TLS that is offered, as Python's ssl names it


class Dial(Struct, frozen=True, kw_only=True):
    """One connection, and one request on it, or for `tcp` some bytes."""

    port: int
    address: str = "127.0.0.1"
    path: str = ""  # of a Unix socket, in place of address and port
    redirect: int = 0  # 15001: as a pod's own connection, 15006: as one that comes to it
    protocol: str = "http"  # http, http2, tcp
    tls: Tls | None = None
    host: str = "test"
    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    before: str = ""  # sent before TLS or the request, as a PROXY protocol line is
    data: str = "hello\n"  # of tcp


class Heard(Struct, frozen=True, kw_only=True):
    """What came back: `status` 0 and an `error` where there was no answer. `source` is the client's address."""

    status: int = 0
    headers: dict[str, str] = {}
    body: str = ""
    error: str = ""
    source: str = ""
    alpn: str = ""
    subject: str = ""  # common name or first URI of the server's certificate

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """What the yard's server told."""
        return json.loads(self.body)


class _Told(BaseHTTPRequestHandler):
    """Answers with what it was asked, and where."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    status = 200

    def _answer(self) -> None:
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._upgrade()
            return
        if self.path.startswith(_SLOW):
            threading.Event().wait(float(self.path.removeprefix(_SLOW)))
        length = int(self.headers.get("content-length") or 0)
        self.rfile.read(length)
        address, port = self.connection.getsockname()[:2]
        said = {"server": f"{address}:{port}", "client": self.client_address[0], "method": self.command, "path": self.path}
        body = json.dumps({**said, "headers": {name.lower(): value for name, value in self.headers.items()}}).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - `do_GET` and the like
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _upgrade(self) -> None:
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "Upgrade")
        self.end_headers()
        while data := self.connection.recv(_READ):
            self.connection.sendall(b"echo " + data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


def _serve(server: Server) -> int:
    """Start a server in a thread; its port."""
    if server.kind == "http":
        handler = type("Told", (_Told,), {"status": server.status})
        listening = ThreadingHTTPServer((server.address, server.port), handler)
        listening.daemon_threads = True
        if server.certificate:
            listening.socket = _server_context(server).wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        return int(listening.server_address[1])
    if server.kind == "dns":
        return _serve_names(server)
    if server.address.startswith(_UNIX):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(server.address.removeprefix(_UNIX))
        listener.listen()
    else:
        listener = socket.create_server((server.address, server.port))
    threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
    return server.port or int(listener.getsockname()[1]) if listener.family == socket.AF_INET else 0


def _serve_names(server: Server) -> int:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.bind((server.address, server.port))

    def answer() -> None:
        while True:
            data, peer = door.recvfrom(_READ)
            reply = DNSRecord.parse(data).reply()
            if reply.q.qtype == QTYPE.A:
                reply.add_answer(RR(reply.q.qname, QTYPE.A, rdata=A(server.answer), ttl=5))
            door.sendto(reply.pack(), peer)

    threading.Thread(target=answer, daemon=True).start()
    return server.port


def _server_context(server: Server) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate)
    return context


def _accept(listener: socket.socket, server: Server) -> None:
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=_lines, args=(connection, peer, server), daemon=True).start()


def _lines(connection: socket.socket, peer: Sequence[object], server: Server) -> None:
    address, port = connection.getsockname()[:2] if connection.family == socket.AF_INET else (server.address, 0)
    try:
        if server.certificate:
            connection = _server_context(server).wrap_socket(connection, server_side=True)
        connection.sendall(server.greeting.encode())
        if server.kind == "connect":
            asked = connection.recv(_READ)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.sendall(asked.partition(b"\r\n")[0] + b" then " + connection.recv(_READ))
        while data := connection.recv(_READ):
            connection.sendall(f"{address}:{port} from {peer[0] if peer else 'here'} heard ".encode() + data)
    except OSError:
        pass
    finally:
        connection.close()


def _call(dial: Dial) -> Heard:
    heard = Heard()
    try:
        with _connected(dial) as connection:
            address, port = ("", 0) if dial.path else connection.getsockname()[:2]
            heard = Heard(source=f"{address}:{port}")
            return _talk(dial, connection, heard)
    except (OSError, http.client.HTTPException, EOFError) as error:
        return Heard(error=f"{type(error).__name__}: {error}", source=heard.source)


@contextmanager
def _connected(dial: Dial) -> Iterator[socket.socket]:
    kind = socket.AF_UNIX if dial.path else socket.AF_INET
    with socket.socket(kind) as connection:
        connection.settimeout(_SECONDS)
        if not dial.path:  # a port of its own: where two share one, the redirection gives one of them another
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("", next(_SOURCES)))
        if dial.redirect:
            connection.setsockopt(socket.SOL_SOCKET, _SO_MARK, dial.redirect)
        connection.connect(dial.path or (dial.address, dial.port))
        connection.sendall(dial.before.encode())
        yield connection


def _talk(dial: Dial, plain: socket.socket, heard: Heard) -> Heard:
    connection, alpn, subject = plain, "", ""
    if dial.tls is not None:
        connection = secured = _client_context(dial.tls).wrap_socket(plain, server_hostname=dial.tls.name or None)
        alpn, subject = secured.selected_alpn_protocol() or "", _subject(secured.getpeercert(binary_form=True) or b"")
    speak = {"http": _http1, "http2": _http2, "tcp": _tcp}[dial.protocol]
    status, headers, body = speak(dial, connection)
    return Heard(status=status, headers=headers, body=body, source=heard.source, alpn=alpn, subject=subject)


def _client_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.newest:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion[tls.newest]
        context.set_ciphers("ALL:@SECLEVEL=0")
    if tls.alpn:
        context.set_alpn_protocols(tls.alpn)
    if tls.certificate:
        context.load_cert_chain(tls.certificate)
    return context


def _subject(der: bytes) -> str:
    from cryptography import x509  # noqa: PLC0415 - only for calls over TLS

    if not der:
        return ""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if names:
        return str(names[0].value)
    return str(
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )[0]
    )


def _http1(dial: Dial, connection: socket.socket) -> tuple[int, dict[str, str], str]:
    client = http.client.HTTPConnection("unused")
    client.sock = connection
    fields = {"Host": dial.host, **dict(dial.headers)}
    client.request(dial.method, dial.target, headers=fields)
    answer = client.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    if answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
        connection.sendall(dial.data.encode())
        return answer.status, headers, connection.recv(_READ).decode()
    return answer.status, headers, answer.read().decode(errors="replace")


def _http2(dial: Dial, connection: socket.socket) -> tuple[int, dict[str, str], str]:
    from h2 import connection as h2_connection  # noqa: PLC0415 - of the tests, not of the package
    from h2 import events  # noqa: PLC0415

    client = h2_connection.H2Connection()
    client.initiate_connection()
    stream = client.get_next_available_stream_id()
    pseudo = [(":method", dial.method), (":scheme", "https" if dial.tls else "http"), (":authority", dial.host), (":path", dial.target)]
    client.send_headers(stream, [*pseudo, *dial.headers], end_stream=True)
    headers: dict[str, str] = {}
    body = b""
    while True:
        connection.sendall(client.data_to_send())
        data = connection.recv(_READ)
        if not data:
            raise EOFError("closed without an answer")
        for event in client.receive_data(data):
            if isinstance(event, events.ResponseReceived):
                headers = {bytes(name).decode(): bytes(value).decode() for name, value in event.headers or ()}
            elif isinstance(event, events.DataReceived):
                body += event.data or b""
            elif isinstance(event, events.StreamEnded):
                return int(headers.pop(":status")), headers, body.decode()
            elif isinstance(event, (events.StreamReset, events.ConnectionTerminated)):
                raise EOFError(f"ended: {event}")  # noqa: TRY004 - no matter of types


def _tcp(dial: Dial, connection: socket.socket) -> tuple[int, dict[str, str], str]:
    connection.sendall(dial.data.encode())
    data = connection.recv(_READ)
    if not data:
        raise EOFError("closed without an answer")
    return 0, {}, data.decode(errors="replace")


def _prepare() -> None:
    """All addresses are here; marked connections go where the mark says."""
    for command in (("ip", "link", "set", "lo", "up"), ("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo")):
        subprocess.run(command, check=True, capture_output=True)
    if shutil.which("nft"):
        rules = "".join(f"add rule ip yard out meta mark {port} tcp dport 1-65535 redirect to :{port}\n" for port in _MARKS)
        chain = "add table ip yard\nadd chain ip yard out { type nat hook output priority -100; }\n"
        subprocess.run(("nft", "-f", "-"), input=chain + rules, text=True, check=True, capture_output=True)
        return
    for port in _MARKS:
        rule = f"-A OUTPUT -p tcp -m mark --mark {port} -j REDIRECT --to-ports {port}".split()
        subprocess.run(("iptables", "-w", "-t", "nat", *rule), check=True, capture_output=True)


def main() -> None:
    """Prepare the namespace, then do what each line says."""
    _prepare()
    print("ready", flush=True)  # noqa: T201 - the answer to whoever started it
    with ThreadPoolExecutor(16) as pool:
        for line in sys.stdin:
            asked = json.loads(line)
            ports = [_serve(server) for server in convert(asked.get("serve", ()), tuple[Server, ...])]
            dials = convert(asked.get("calls", ()), tuple[Dial, ...])
            heard = list(pool.map(_call, dials)) if asked.get("together") else [_call(dial) for dial in dials]
            print(json.dumps({"ports": ports, "heard": to_builtins(heard)}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
