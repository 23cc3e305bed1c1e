"""Further roots: what is one, as PEM and as a SPIFFE bundle."""

import base64
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lateen.ca.csr import new_request
from lateen.ca.signer import RootError, SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.ca.trust import bundle_roots, pem_roots

NOW = 1_800_000_000.0
OWN, OTHER = SelfSignedRoot.create("own", NOW), SelfSignedRoot.create("other", NOW)
LEAF = Signer(OTHER).sign(new_request(Identity("other", "a", "b"))[1], Identity("other", "a", "b"), 0, NOW)[0]


def bundle(*certificates: bytes, use: str = "x509-svid") -> str:
    ders = [x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER) for pem in certificates]
    return json.dumps({"keys": [{"kty": "EC", "use": use, "x5c": [base64.b64encode(der).decode()]} for der in ders]})


def test_both_forms_give_the_same_roots() -> None:
    """PEM with anything around it; a bundle's keys of other uses are left out."""
    pem = OTHER.certificate_pem
    assert pem_roots("# comment\n" + pem.decode()) == bundle_roots(bundle(pem)) == pem


@pytest.mark.parametrize("text", ["", "rubbish", LEAF.decode(), OTHER.certificate_pem.decode()[:200]])
def test_what_is_no_root_is_refused(text: str) -> None:
    """Nothing, rubbish, a leaf, half a file."""
    with pytest.raises(RootError):
        pem_roots(text)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"keys":[{"use":"x509-svid","x5c":["?"]}]}', bundle(OTHER.certificate_pem, use="jwt-svid"), bundle(LEAF)]
)
def test_what_is_no_bundle_is_refused(text: str) -> None:
    """No JSON, no keys, no certificates, keys of another use, leaves."""
    with pytest.raises(RootError):
        bundle_roots(text)


def test_further_roots_come_and_go_and_sign_nothing() -> None:
    """Beside the mesh's own, told once for each change."""
    signer = Signer(OWN)
    told: list[bytes] = []
    signer.watch(lambda: told.append(signer.roots_pem))
    signer.trust_further(OTHER.certificate_pem)
    signer.trust_further(OTHER.certificate_pem)
    signer.trust_further(b"")
    assert told == [OWN.certificate_pem + OTHER.certificate_pem, OWN.certificate_pem]
