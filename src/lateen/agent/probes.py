"""The application's own probes and lifecycle hooks, asked by the agent on the kubelet's behalf (Istio's probe rewrite).

Why: with strict mutual TLS the kubelet cannot reach the application itself; it asks the agent at /app-health/..., which asks the
application over the pod's own address. Only what the pod's plan names is asked: nothing of the request chooses where to.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from lateen.agent.http import HttpError, Target, call
from lateen.agent.protocols import PodNetwork

__all__ = ["AppProbe", "ask_application", "read_probers"]

_REDIRECTS = 10
_BODY = 10 * 1024
_OWN_HEADERS = frozenset({"host", "connection", "content-length", "transfer-encoding", "accept-encoding"})


class AppProbe(Struct, frozen=True, kw_only=True):
    """One probe of the application: with `path` over HTTP, else a TCP connection."""

    port: int
    path: str = ""
    tls: bool = False
    host: str = ""  # of the Host header
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 1.0


def read_probers(text: str) -> tuple[Mapping[str, AppProbe], tuple[str, ...]]:
    """The value of ISTIO_KUBE_APP_PROBERS (path at the agent -> the original probe), and what of it cannot be asked."""
    try:
        entries = json.loads(text) if text else {}
    except ValueError as error:
        return {}, (f"ISTIO_KUBE_APP_PROBERS is not JSON: {error}",)
    probes, refused = {}, []
    for path, entry in sorted(entries.items()):
        probe = _probe(entry) if isinstance(entry, dict) else None
        if probe is None:
            refused.append(f"the probe {path} cannot be asked: expected httpGet or tcpSocket with a port number")
        else:
            probes[path] = probe
    return probes, tuple(refused)


def _probe(entry: Mapping[str, object]) -> AppProbe | None:
    http, tcp = entry.get("httpGet"), entry.get("tcpSocket")
    check = http if isinstance(http, dict) else tcp
    if not isinstance(check, dict) or not isinstance(check.get("port"), int):
        return None
    seconds = float(str(entry.get("timeoutSeconds") or 1))
    if check is not http:
        return AppProbe(port=check["port"], seconds=seconds)
    headers = tuple((str(one.get("name")), str(one.get("value", ""))) for one in check.get("httpHeaders") or ())
    return AppProbe(
        port=check["port"],
        path=str(check.get("path") or "/"),
        tls=str(check.get("scheme", "")).upper() == "HTTPS",
        host=next((value for name, value in headers if name.lower() == "host"), str(check.get("host") or "")),
        headers=tuple((name, value) for name, value in headers if name.lower() != "host"),
        seconds=seconds,
    )


async def ask_application(network: PodNetwork, address: str, probe: AppProbe, headers: Sequence[tuple[str, str]]) -> tuple[int, bytes]:
    """The application's status and the beginning of its body; 500 with a sentence when it gives none.

    `headers` are the asker's: the kubelet's User-Agent is kept.
    """
    if not probe.path:
        return await _connect(network, address, probe)
    kept = [(name, value) for name, value in headers if name.lower() not in _OWN_HEADERS and name.lower() not in dict(probe.headers)]
    sent = [("Host", probe.host or f"{address}:{probe.port}"), *kept, *probe.headers]
    target, path = Target(address, probe.port, probe.tls), probe.path
    try:
        for _ in range(_REDIRECTS + 1):
            said = await call(network, target, "GET", path, headers=sent, seconds=probe.seconds, limit=_BODY)
            step = _redirection(said.status, said.header("location"), target, path)
            if step is None:
                return said.status, said.body
            target, path = step
        return 500, f"stopped after {_REDIRECTS} redirects".encode()
    except HttpError as error:
        return 500, str(error).encode()


def _redirection(status: int, location: str, target: Target, path: str) -> tuple[Target, str] | None:
    """Where to go on; another host is not followed: its answer would say nothing of this application."""
    if not 300 <= status < 400 or not location:
        return None
    scheme = "https" if target.tls else "http"
    there = urlsplit(urljoin(f"{scheme}://{target.host}:{target.port}{path}", location))
    if there.hostname != target.host or there.scheme not in {"http", "https"}:
        return None
    tls = there.scheme == "https"
    query = f"?{there.query}" if there.query else ""
    return Target(target.host, there.port or (443 if tls else 80), tls), (there.path or "/") + query


async def _connect(network: PodNetwork, address: str, probe: AppProbe) -> tuple[int, bytes]:
    try:
        async with asyncio.timeout(probe.seconds):
            (await network.connect(address, probe.port)).close()
    except (OSError, TimeoutError) as error:
        return 500, f"port {probe.port} cannot be connected to: {str(error) or 'no answer in time'}".encode()
    return 200, b""
