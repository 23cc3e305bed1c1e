"""A running embedded Kubernetes API for tests: the real store, file, HTTP door and client, in a folder of the test's own.

Must not be used by the product.
"""

import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from lateen.kube.admission import Admission, admit_all
from lateen.runtime.clock import Clock, SystemClock
from lateen.runtime.limits import allow_open_files
from lateen.serve.http_kube.app import build_app
from lateen.serve.http_kube.live import LiveStore
from lateen.serve.http_kube.node import NodeBackend
from lateen.serve.http_kube.server import KubeServer
from lateen.sources.kubeclient import Endpoint, KubeClient
from lateen.sources.kubeconfig import render_kubeconfig
from lateen.sources.sqlite import SqliteFile
from lateen.testing.certificates import self_signed
from lateen.util.redact import Secret

__all__ = ["TOKEN", "RunningApi", "kube_api"]

TOKEN = "test-token"  # noqa: S105


class RunningApi(NamedTuple):
    """The client, the store behind it, the owner's socket, and the kubeconfig of the TLS door where there is one."""

    client: KubeClient
    live: LiveStore
    socket: Path
    kubeconfig: Path


@asynccontextmanager
async def kube_api(
    folder: Path,
    *,
    node: NodeBackend | None = None,
    admission: Admission = admit_all,
    clock: Clock | None = None,
    tls: bool = False,
) -> AsyncIterator[RunningApi]:
    """Start an API whose file is in `folder`; started again on the same folder it has the same objects."""
    allow_open_files()
    file = SqliteFile(folder / "mesh.db")
    live = LiveStore(file, admission=admission, clock=clock or SystemClock())
    server = KubeServer(build_app(live, node))
    running = RunningApi(KubeClient(Endpoint(unix=str(folder / "api.sock"))), live, folder / "api.sock", folder / "kubeconfig")
    try:
        await live.start()
        server.add_unix(running.socket)
        if tls:
            _add_tls(server, folder, running.kubeconfig)
        await server.start()
        yield running
    finally:
        running.client.close()
        await live.close()
        await server.stop()
        file.close()


def _add_tls(server: KubeServer, folder: Path, kubeconfig: Path) -> None:
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    _, authority, key = self_signed(address, x509.BasicConstraints(ca=True, path_length=None))
    (folder / "server.pem").write_bytes(authority + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    server.add_tls([listener], context, {"tester": Secret(TOKEN.encode())})
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    kubeconfig.write_text(render_kubeconfig(url, authority, TOKEN), encoding="utf-8")
