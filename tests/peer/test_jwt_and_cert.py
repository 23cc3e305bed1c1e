"""Istio's token and its certificates: read as its own tests read them. What needs a private key that was left out uses keys made here.

The token is checked with its JWKS; certificates say what the set says of them; chains lead to their roots or do not.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import KeySet

from lateen.ca.plugin import read_plugin
from lateen.ca.signer import RootError
from lateen.compile.jwks import is_usable

pytestmark = pytest.mark.copied_from("istio/istio", "security, samples/certs", "86c9f01fd735fb01d8192f5bcaf0d424afb7f14c")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per token and certificate."""
    path = Path(metafunc.config.getoption("--cases")) / "jwt_and_cert" / "expected.json"
    known = json.loads(path.read_text()) if path.exists() else {"jwt": [], "certificates": []}
    for fixture, name in (("token", "jwt"), ("certificate", "certificates")):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, known[name], ids=[one["file"] for one in known[name]])


def test_token(cases_dir: Path, token: dict[str, Any]) -> None:
    """Header and claims are those, and the signature verifies with the key set or does not."""
    folder = cases_dir / "jwt_and_cert"
    parts = json.loads((folder / f"{token['file']}.json").read_text())
    text, keys = ".".join(parts[name] for name in ("header", "payload", "signature")), (folder / "jwt" / "jwks.json").read_text()
    assert is_usable(keys)
    decoded = jwt.decode(text, KeySet.import_key_set(json.loads(keys)), algorithms=["RS256"])
    assert token["signatureValidWithJwks"]
    assert (decoded.header, decoded.claims) == (token["header"], token["claims"])


def test_certificate(cases_dir: Path, certificate: dict[str, Any]) -> None:
    """As many certificates, the same end, authority and names; what does not parse is refused."""
    pem = (cases_dir / "jwt_and_cert" / certificate["file"]).read_bytes()
    assert pem.count(b"-----BEGIN CERTIFICATE-----") == certificate["pemCertificates"]
    if not certificate["firstParses"]:
        with pytest.raises(ValueError, match=r".+"):
            x509.load_pem_x509_certificate(pem)
        return
    first = x509.load_pem_x509_certificate(pem)
    assert first.not_valid_after_utc.strftime("%b %e %H:%M:%S %Y GMT") == certificate["notAfter"]
    assert _is_authority(first) == certificate.get("isCA", False)
    assert _names(first, x509.DNSName) == certificate.get("dnsSans", [])
    assert _names(first, x509.UniformResourceIdentifier) == certificate.get("uriSans", [])


@pytest.mark.parametrize(("chain", "roots"), [("ca-cert-alt.pem", "root-cert-alt.pem"), ("ca-cert-alt-2.pem", "root-cert-combined-2.pem")])
def test_a_plugged_in_set_without_its_key_is_refused_for_the_key_alone(cases_dir: Path, chain: str, roots: str) -> None:
    """The sample authorities' own keys are left out; another key is refused as not theirs, before anything else is."""
    folder = cases_dir / "jwt_and_cert" / "samples-certs"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"ca-key.pem": private, "ca-cert.pem": (folder / chain).read_bytes(), "root-cert.pem": (folder / roots).read_bytes()}
    with pytest.raises(RootError, match="is not the key of"):
        read_plugin(files, 1_800_000_000.0)


@pytest.mark.parametrize("number", ["", "-2"])
def test_sample_chains_lead_to_their_root(cases_dir: Path, number: str) -> None:
    """Intermediate and root of Istio's sample authorities; the other's does not sign it."""
    folder = cases_dir / "jwt_and_cert" / "samples-certs"
    own = x509.load_pem_x509_certificate((folder / f"ca-cert-alt{number}.pem").read_bytes())
    roots = x509.load_pem_x509_certificates((folder / f"cert-chain-alt{number}.pem").read_bytes())[1:]
    for root in roots:
        own.verify_directly_issued_by(root)
    stranger = x509.load_pem_x509_certificate((folder / "root-cert.pem").read_bytes())
    with pytest.raises(ValueError, match=r".+"):
        own.verify_directly_issued_by(stranger)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _names(certificate: x509.Certificate, kind: type[x509.DNSName | x509.UniformResourceIdentifier]) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name) for name in names.get_values_for_type(kind)]
