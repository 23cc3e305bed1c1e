"""WebAssembly modules from servers and registries: every form they come in, and what is refused."""

import asyncio
import gzip
import hashlib
import io
import tarfile

import pytest

from lateen.model.module import ModuleRef, WantedModule
from lateen.sources import wasmmodules
from lateen.sources.outward import BLOCKED, FetchError, Outward
from lateen.sources.wasmmodules import ModuleSource
from lateen.testing.registry import Registry, registry
from lateen.util.redact import Secret

FROM_LOOPBACK = tuple(one for one in BLOCKED if not one.startswith("127."))  # tests are served from there
MODULE = b"\x00asm\x01\x00\x00\x00and more"
DIGEST = hashlib.sha256(MODULE).hexdigest()
RAW, LAYER = "application/vnd.module.wasm.content.layer.v1+wasm", "application/vnd.oci.image.layer.v1.tar+gzip"


def archive(**files: bytes) -> bytes:
    """A tar of files, the first `_` of whose names is a dot."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", ".", 1))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def fetch(url: str, sha256: str = "", credentials: bytes | None = None) -> bytes:
    """The module, from loopback."""
    wanted = WantedModule(ModuleRef(url=url, sha256=sha256), Secret(credentials) if credentials is not None else None)
    return asyncio.run(ModuleSource(Outward(FROM_LOOPBACK)).fetch(wanted))


def with_files(served: Registry, **files: bytes) -> str:
    served.answers |= {f"/{name}": data for name, data in files.items()}
    return f"http://{served.address}"


def test_files_in_every_form() -> None:
    """As it is, compressed, in an archive, and in a compressed one."""
    tarred = archive(readme_md=b"", plugin_wasm=MODULE, other_wasm=b"no")
    with registry() as served:
        base = with_files(served, raw=MODULE, gz=gzip.compress(MODULE), tar=tarred, tgz=gzip.compress(archive(one_wasm=MODULE)))
        assert all(fetch(f"{base}/{name}") == MODULE for name in ("raw", "gz", "tar", "tgz"))
        assert fetch(f"{base}/raw", sha256=DIGEST) == MODULE


def test_images_in_both_forms_by_tag_and_digest() -> None:
    """A layer that is the module, and one with files; the digest is that of the manifest."""
    with registry() as served:
        served.push("team/raw", "v1", MODULE, RAW)
        digest = served.push("team/files", "v1", gzip.compress(archive(plugin_wasm=MODULE)), LAYER)
        base = f"oci://{served.address}/team"
        assert fetch(f"{base}/raw:v1") == fetch(f"{base}/files:v1") == fetch(f"{base}/files@{digest}") == MODULE
        assert fetch(f"{base}/files:v1", sha256=digest.removeprefix("sha256:")) == MODULE
        with pytest.raises(FetchError, match="its sha256 is"):
            fetch(f"{base}/files:v1", sha256=DIGEST)


def test_a_registry_that_wants_a_login() -> None:
    """With the pull secret a token is got; without it, or with another registry's, the answer is said."""
    with registry(login="me:secret") as served:
        served.push("mine", "v1", MODULE, RAW)
        url = f"oci://{served.address}/mine:v1"
        assert fetch(url, credentials=served.pull_secret()) == MODULE
        for credentials in (None, b'{"auths": {"elsewhere.example": {"auth": "eA=="}}}'):
            with pytest.raises(FetchError, match="gave no token"):
                fetch(url, credentials=credentials)
        with pytest.raises(FetchError, match="no docker configuration"):
            fetch(url, credentials=b"nonsense")


def test_a_login_is_not_sent_in_the_clear_to_whom_a_registry_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only to itself, or over TLS."""
    with registry() as other, registry(login="me:secret") as served:
        challenge = {"WWW-Authenticate": f'Bearer realm="http://{other.address}/token"'}
        monkeypatch.setattr(served, "answer", lambda _path, _authorization: (401, challenge, b""))
        with pytest.raises(FetchError, match="without TLS"):
            fetch(f"oci://{served.address}/mine:v1", credentials=served.pull_secret())
        assert other.asked == []


def test_what_is_no_module_is_refused() -> None:
    """Each with a sentence that names the address."""
    with registry() as served:
        base = with_files(
            served,
            text=b"hello",
            bad=gzip.compress(b"hello"),
            cut=gzip.compress(MODULE * 99)[:20],
            two=archive(a_wasm=MODULE, b_wasm=MODULE),
        )
        served.answers["/v2/empty/manifests/v1"] = b'{"layers": []}'
        for name in ("text", "bad", "cut", "two"):
            with pytest.raises(FetchError, match=f"{base}/{name}: (neither|what is there)"):
                fetch(f"{base}/{name}")
        for url, said in {
            f"{base}/gone": "answered 404",
            f"oci://{served.address}/gone:v1": "answered 404 for manifests",
            f"oci://{served.address}/empty:v1": "not that of an image",
            "oci://nothing": "expected an image",
        }.items():
            with pytest.raises(FetchError, match=said):
                fetch(url)
        with pytest.raises(FetchError, match="its sha256 is"):
            fetch(f"{base}/text", sha256=DIGEST)


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of size, packed and unpacked; and the control plane's own loopback is never asked."""
    monkeypatch.setattr(wasmmodules, "_LARGEST", 100)
    with registry() as served:
        base = with_files(served, large=MODULE * 99, packed=gzip.compress(MODULE * 99))
        for name in ("large", "packed"):
            with pytest.raises(FetchError, match="larger than 100 bytes"):
                fetch(f"{base}/{name}")
        for url in (f"{base}/large", f"oci://{served.address}/mine:v1"):
            with pytest.raises(FetchError, match="does not connect to"):
                asyncio.run(ModuleSource().fetch(WantedModule(ModuleRef(url=url))))
