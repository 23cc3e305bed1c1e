"""Where a running mesh shows a key or a token that it should keep: logs, listings, status, debug pages, Envoy's admin pages, files."""

import base64
from collections.abc import Iterable, Iterator

import httpx

from lateen.local.paths import locate_here
from lateen.testing.mesh import Mesh

__all__ = ["shown"]

# Files that hold secrets, for their owner alone; objects are in mesh.db.
_KEPT = ("ca/root-ca.pem", "api/api.pem", "api/token", "service-account-key.pem", "secrets.json")
_MARK = b"PRIVATE KEY"
_ENVOY = ("config_dump?include_eds", "certs", "server_info", "clusters", "listeners?format=json", "stats", "runtime", "memory")
_LONG = 40  # lines of keys, and parts of them, that are long enough to be nothing else


def shown(mesh: Mesh, *secrets: bytes) -> list[str]:
    """The places that show a private key, the API's token, the mesh's own keys or one of `secrets`, as text or in base64."""
    own = [file.read_bytes() for kept in _KEPT if (file := mesh.data / kept).is_file() and file.suffix != ".json"]
    wanted = {*_forms(_MARK), *(form for secret in (*own, *secrets) for line in _telling(secret) for form in _forms(line))}
    texts = dict(_texts(mesh))
    for sort in ("logs/", "debug/config_dump of", "debug/sds of", "config_dump?include_eds of"):
        assert any(name.startswith(sort) for name in texts), f"{sort} is not among {sorted(texts)}"  # noqa: S101
    return [name for name, text in texts.items() if any(each in text for each in wanted)]


def _telling(secret: bytes) -> Iterable[bytes]:
    """The lines that are nobody else's: of PEM up to the key's end, as a certificate may be beside it; else all of it."""
    if _MARK not in secret:
        return [secret.strip()]
    return [line for line in secret.partition(b"-----END PRIVATE")[0].splitlines() if len(line) > _LONG]


def _forms(text: bytes) -> Iterator[bytes]:
    """The text, and its middle in base64 at each of the three places that it may have in a longer one."""
    yield text
    for pad in range(3):
        yield base64.b64encode(b"-" * pad + text)[4 if pad else 0 : -4][: 4 * _LONG]


def _texts(mesh: Mesh) -> Iterator[tuple[str, bytes]]:
    yield "status", mesh.must("status").encode()
    for kind in ("pods", "configmaps", "events", "namespaces", "gateways", "deployments", "serviceaccounts"):
        yield kind, mesh.must("get", kind, "-A", "-o", "yaml").encode()
    yield from _debug_pages(mesh)
    for namespace in ("default", "istio-system"):
        for pod in mesh.objects("pods", namespace):
            yield from _admin_pages(mesh, namespace, pod["metadata"]["name"])
    for file in sorted(mesh.data.rglob("*")):
        inside = file.relative_to(mesh.data).as_posix()
        if inside in _KEPT:
            assert file.stat().st_mode & 0o777 == 0o600, file  # noqa: S101
        elif file.is_file() and not inside.startswith("mesh.db"):
            yield inside, file.read_bytes()


def _debug_pages(mesh: Mesh) -> Iterator[tuple[str, bytes]]:
    """All pages of port 15014, those about a proxy once for each proxy."""
    transport = httpx.HTTPTransport(uds=str(locate_here(str(mesh.data)).monitoring_socket))
    with httpx.Client(transport=transport, base_url="http://istiod", timeout=60) as owner:
        proxies = [client["connectionId"] for client in owner.get("/debug/connections").json()["clients"]]
        for path in ("metrics", "version", "debug"):
            yield path, owner.get(f"/{path}").content
        for page in owner.get("/debug/list").json():
            whole = owner.get(f"/debug/{page}")
            yield f"debug/{page}", whole.content
            for proxy in proxies if whole.status_code != httpx.codes.OK else ():
                yield f"debug/{page} of {proxy}", owner.get(f"/debug/{page}", params={"proxyID": proxy, "include_eds": ""}).content
        for proxy in proxies:
            yield f"debug/sds of {proxy}", owner.get("/debug/config_dump", params={"proxyID": proxy, "types": "sds,secret"}).content


def _admin_pages(mesh: Mesh, namespace: str, pod: str) -> Iterator[tuple[str, bytes]]:
    for page in _ENVOY:
        ask = ("exec", pod, "-n", namespace, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", page)
        yield f"{page} of {pod}", mesh.must(*ask).encode()
