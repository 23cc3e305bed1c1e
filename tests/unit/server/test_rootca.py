"""The root certificate outlives restarts and crashes; the control plane's own certificate is renewed."""

from pathlib import Path

import pytest
from cryptography import x509

from lateen.ca.signer import RootError, Signer
from lateen.ca.spiffe import Identity
from lateen.server.rootca import ControlPlaneIdentity, load_or_create_root


class Clock:
    """Time that stands still."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_root_is_made_once(tmp_path: Path) -> None:
    """A second start has the same root, from a file that only its owner reads, in a folder that was made for it."""
    first = load_or_create_root(tmp_path / "ca", "cluster.local", Clock())
    assert (tmp_path / "ca" / "root-ca.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "ca" / "root-ca.pem").chmod(0o644)
    assert load_or_create_root(tmp_path / "ca", "cluster.local", Clock()).certificate == first.certificate
    (file,) = (tmp_path / "ca").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_half_a_file_of_a_crash_is_no_root(tmp_path: Path) -> None:
    """What a crash left of the first start does not stand in the way of the second."""
    (tmp_path / "root-ca.new").write_text("-----BEGIN PRIV")
    root = load_or_create_root(tmp_path, "cluster.local", Clock())
    assert load_or_create_root(tmp_path, "cluster.local", Clock()).certificate == root.certificate


def test_a_broken_root_is_never_replaced(tmp_path: Path) -> None:
    """A new root would cut off every running workload: the person decides, and is told the file."""
    file = tmp_path / "root-ca.pem"
    file.write_text("garbage")
    with pytest.raises(RootError, match=r"root-ca\.pem: expected PEM"):
        load_or_create_root(tmp_path, "cluster.local", Clock())
    assert file.read_text() == "garbage"


def test_a_root_that_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, why, and what to do; no other root is made."""

    def closed(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    load_or_create_root(tmp_path, "cluster.local", Clock())
    before = (tmp_path / "root-ca.pem").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("os.open", closed)
        with pytest.raises(RootError, match=r"root-ca\.pem: cannot be read: Permission denied\. Give it back"):
            load_or_create_root(tmp_path, "cluster.local", Clock())
    assert (tmp_path / "root-ca.pem").read_bytes() == before


def test_an_ended_root_is_said(tmp_path: Path) -> None:
    """After ten years the error names the file and the way out."""
    clock = Clock()
    load_or_create_root(tmp_path, "cluster.local", clock)
    clock.time += 3651 * 24 * 3600
    with pytest.raises(RootError, match="has ended"):
        load_or_create_root(tmp_path, "cluster.local", clock)


def test_control_plane_renews_its_certificate_at_half_life(tmp_path: Path) -> None:
    """It has the control plane's names and identity, stays the same for hours and is new after twelve."""
    clock = Clock()
    signer = Signer(load_or_create_root(tmp_path, "cluster.local", clock))
    own = ControlPlaneIdentity(signer, Identity("cluster.local", "istio-system", "istiod"), clock)
    first = own()
    names = x509.load_pem_x509_certificate(first.chain).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/istio-system/sa/istiod"]
    assert "istiod.istio-system.svc" in names.get_values_for_type(x509.DNSName)
    clock.time += 11 * 3600
    assert own() == first
    clock.time += 3600
    assert own() != first
