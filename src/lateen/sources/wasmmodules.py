"""Fetches WebAssembly modules from servers and registries, as Istio's agents do: plain, compressed, in an archive, or in an OCI image.

The control plane fetches for all proxies (docs/decisions/020). A module is at most 256 MiB and must come within 15 seconds; what a checksum
is given for must have it. Must not keep anything.
"""

import asyncio
import base64
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from lateen.model.module import WantedModule
from lateen.sources.outward import Answer, FetchError, Outward
from lateen.util.redact import Secret

__all__ = ["ModuleSource"]

_LARGEST, _MANIFEST = 256 << 20, 4 << 20  # bytes
_SECONDS = 15.0
_OK, _UNAUTHORIZED = 200, 401
_MAGIC, _GZIP = b"\x00asm", b"\x1f\x8b"
_FILE = "plugin.wasm"
_RAW = ("application/vnd.module.wasm.content.layer.v1+wasm", "application/wasm")  # layers that are the module itself
_IMAGES = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_REFERENCE = re.compile(r"oci://(?P<host>[^/]+)/(?P<name>[^@:]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?")
_DOCKER, _DOCKER_AT = ("docker.io", "index.docker.io"), "registry-1.docker.io"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class ModuleSource:
    """Reads addresses through `outward`, which says where it may go."""

    def __init__(self, outward: Outward | None = None) -> None:
        self._outward = outward or Outward()

    async def fetch(self, wanted: WantedModule) -> bytes:
        """The module; FetchError says why not."""
        url, sha256 = wanted.ref.url, wanted.ref.sha256.removeprefix("sha256:").lower()
        try:
            async with asyncio.timeout(_SECONDS):
                data = await (_Image(self._outward, wanted).fetch(sha256) if url.startswith("oci://") else self._file(url, sha256))
        except TimeoutError:
            raise FetchError(f"{url}: it did not come within {_SECONDS:g} s") from None
        return await asyncio.to_thread(_module_in, data, url)

    async def _file(self, url: str, sha256: str) -> bytes:
        answer = await self._outward.get(url, {"Accept": "application/wasm, */*"}, largest=_LARGEST)
        if answer.status != _OK:
            raise FetchError(f"{url}: answered {answer.status}")
        _check(answer.body, sha256, url)
        return answer.body


class _Image:
    """One image of a registry."""

    def __init__(self, outward: Outward, wanted: WantedModule) -> None:
        self._url = wanted.ref.url
        found = _REFERENCE.fullmatch(self._url)
        if found is None:
            raise FetchError(f"{self._url[:200]}: expected an image such as oci://registry.example/name:tag")
        self._outward = outward
        self._host, self._name = found["host"], found["name"]
        self._wanted = found["digest"] or found["tag"] or "latest"
        self._digest = (found["digest"] or "").removeprefix("sha256:")
        self._login = _login(wanted.credentials, self._host)
        self._authorization = f"Basic {self._login}" if self._login else ""
        if self._host in _DOCKER:
            self._host, self._name = _DOCKER_AT, self._name if "/" in self._name else f"library/{self._name}"

    async def fetch(self, sha256: str) -> bytes:
        """The layer that has the module."""
        manifest = await self._get(f"manifests/{self._wanted}", {"Accept": ", ".join(_IMAGES)}, _MANIFEST)
        for digest in (self._digest, sha256):
            _check(manifest, digest, self._url)
        try:
            layers: list[dict[str, Any]] = msgspec.json.decode(manifest)["layers"]
            layer = next((one for one in layers if one.get("mediaType") in _RAW), layers[-1])
            digest = str(layer["digest"]).removeprefix("sha256:")
        except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError):
            raise FetchError(f"{self._url}: the manifest is not that of an image with layers") from None
        blob = await self._get(f"blobs/sha256:{digest}", {}, _LARGEST)
        _check(blob, digest, self._url)
        return blob

    async def _get(self, path: str, headers: Mapping[str, str], largest: int) -> bytes:
        local = self._host.partition(":")[0] in ("localhost", "127.0.0.1")
        address = f"{'http' if local else 'https'}://{self._host}/v2/{self._name}/{path}"
        answer = await self._ask(address, headers, largest)
        if answer.status == _UNAUTHORIZED and (challenge := answer.headers.get("www-authenticate", "")).lower().startswith("bearer"):
            self._authorization = f"Bearer {await self._token(dict(_CHALLENGE.findall(challenge)))}"
            answer = await self._ask(address, headers, largest)
        if answer.status != _OK:
            raise FetchError(f"{self._url}: the registry answered {answer.status} for {path.partition('/')[0]}")
        return answer.body

    async def _ask(self, address: str, headers: Mapping[str, str], largest: int) -> Answer:
        own = {"Authorization": self._authorization} if self._authorization else {}
        return await self._outward.get(address, {**headers, **own}, largest=largest)

    async def _token(self, challenge: Mapping[str, str]) -> str:
        """What the registry's own authority gives for the login, or for nobody's."""
        realm = challenge.get("realm", "")
        if self._login and urlsplit(realm).scheme != "https" and urlsplit(realm).netloc != self._host:
            raise FetchError(f"{self._url}: the registry asks for the login to be sent to {realm[:200]}, without TLS")
        asked = urlencode({name: challenge[name] for name in ("service", "scope") if name in challenge})
        login = {"Authorization": f"Basic {self._login}"} if self._login else {}
        answer = await self._outward.get(f"{realm}{'&' if '?' in realm else '?'}{asked}", login, largest=_MANIFEST)
        try:
            found = msgspec.json.decode(answer.body) if answer.status == _OK else {}
            return str(found.get("token") or found["access_token"])
        except (msgspec.DecodeError, KeyError, AttributeError):
            raise FetchError(f"{self._url}: {realm} answered {answer.status} and gave no token") from None


def _login(credentials: Secret | None, host: str) -> str:
    """User and password in base64, from a docker configuration; "" where it has none for the registry."""
    try:
        found = msgspec.json.decode(credentials.reveal())["auths"] if credentials is not None else {}
        for name, entry in found.items():
            if urlsplit(name if "//" in name else f"//{name}").netloc in ((host, *_DOCKER) if host in _DOCKER else (host,)):
                return entry.get("auth") or base64.b64encode(f"{entry['username']}:{entry['password']}".encode()).decode()
    except (msgspec.DecodeError, KeyError, AttributeError, TypeError):
        raise FetchError(f"the pull secret for {host} is no docker configuration with a login") from None
    return ""


def _check(data: bytes, sha256: str, url: str) -> None:
    if sha256 and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise FetchError(f"{url}: its sha256 is {found}, not {sha256}")


def _module_in(data: bytes, url: str) -> bytes:
    """The module in what was fetched."""
    try:
        if data.startswith(_GZIP):
            unpacker = zlib.decompressobj(wbits=31)
            data = unpacker.decompress(data, _LARGEST)
            if unpacker.unconsumed_tail:
                raise FetchError(f"{url}: it is larger than {_LARGEST} bytes when unpacked")
            if not unpacker.eof:
                raise zlib.error("incomplete")
        if not data.startswith(_MAGIC):
            data = _in_archive(data)
    except (zlib.error, tarfile.TarError, KeyError):
        raise FetchError(f"{url}: neither a WebAssembly module nor an archive with a {_FILE}") from None
    if not data.startswith(_MAGIC):
        raise FetchError(f"{url}: what is there is no WebAssembly module")
    return data


def _in_archive(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = [name for name in archive.getnames() if name.endswith(".wasm")]
        chosen = next((name for name in names if name.rpartition("/")[2] == _FILE), names[0] if len(names) == 1 else _FILE)
        file = archive.extractfile(chosen)
        return file.read() if file is not None else b""
