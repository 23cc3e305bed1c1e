"""What a leaf certificate says, who vouches for it, and which requests are refused."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lateen.ca.csr import CsrError, new_request
from lateen.ca.signer import DEFAULT_TTL, MAX_TTL, RootError, SelfSignedRoot, Signer, TtlError, WorkloadName, expires
from lateen.ca.spiffe import Identity

NOW = 1_800_000_000.0
REVIEWS = Identity("cluster.local", "default", "bookinfo-reviews")
ROOT = SelfSignedRoot.create("cluster.local", NOW)


def leaf(chain: tuple[bytes, ...]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain[0])


def request(key: object, *names: x509.GeneralName, subject: str = "intruder") -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def test_leaf_carries_the_identity_and_chains_to_the_root() -> None:
    """The chain is leaf first, root last; the leaf verifies for the root as client and has the SPIFFE id as its only name."""
    _, csr = new_request(REVIEWS)
    chain = Signer(ROOT).sign(csr, REVIEWS, 0, NOW)
    assert len(chain) == 2 and chain[-1] == ROOT.certificate_pem
    names = leaf(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert [name.value for name in names.value] == ["spiffe://cluster.local/ns/default/sa/bookinfo-reviews"]
    assert names.critical, "without a subject the names must be critical"
    store = verification.Store([ROOT.certificate])
    at = leaf(chain).not_valid_before_utc + timedelta(hours=1)
    verified = verification.PolicyBuilder().store(store).time(at).build_client_verifier().verify(leaf(chain), [])
    assert len(verified.chain) == 2


def test_leaf_is_for_both_ends_of_a_connection_and_signs_nothing() -> None:
    """Sidecars are client and server with one certificate, which is not a CA."""
    _, csr = new_request(REVIEWS)
    extensions = leaf(Signer(ROOT).sign(csr, REVIEWS, 0, NOW)).extensions
    assert set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign


def test_names_in_the_request_are_ignored() -> None:
    """A workload cannot ask to be somebody else: neither SAN nor subject of its request reach the leaf."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = request(key, x509.UniformResourceIdentifier("spiffe://cluster.local/ns/admin/sa/root"), x509.DNSName("istiod.istio-system.svc"))
    signed = leaf(Signer(ROOT).sign(csr, REVIEWS, 0, NOW))
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [REVIEWS.uri]
    assert signed.subject == x509.Name([])
    assert signed.public_key() == key.public_key()


def test_workload_is_named_beside_the_identity() -> None:
    """D7: what the mesh knows of the workload stands in the subject, as Envoy's %DOWNSTREAM_PEER_SUBJECT% prints it."""
    _, csr = new_request(REVIEWS)
    name = WorkloadName(workload="reviews-v2", namespace="default", canonical_service="reviews", canonical_revision="v2")
    signed = leaf(Signer(ROOT).sign(csr, REVIEWS, 0, NOW, workload=name))
    assert signed.subject.rfc4514_string({NameOID.DN_QUALIFIER: "dnQualifier"}) == "dnQualifier=v2,OU=reviews,O=default,CN=reviews-v2"


def test_workload_name_too_long_for_a_subject_is_left_out() -> None:
    """Half a name could be another workload's: a name over 64 characters is not written at all."""
    _, csr = new_request(REVIEWS)
    signed = leaf(Signer(ROOT).sign(csr, REVIEWS, 0, NOW, workload=WorkloadName(workload="w" * 65, namespace="default")))
    assert signed.subject.rfc4514_string() == "O=default"


@pytest.mark.parametrize(("ttl", "granted"), [(0.0, DEFAULT_TTL), (60.0, 60.0), (MAX_TTL, MAX_TTL)])
def test_life_is_as_asked_from_a_moment_ago(ttl: float, granted: float) -> None:
    """A day unless asked otherwise, at most 90 days; it began two minutes ago for peers whose clocks are behind."""
    _, csr = new_request(REVIEWS)
    chain = Signer(ROOT).sign(csr, REVIEWS, ttl, NOW)
    assert expires(chain[0]) == NOW + granted
    assert leaf(chain).not_valid_before_utc.timestamp() == NOW - 120


def test_leaf_does_not_outlive_the_root() -> None:
    """Close to the root's end leaves are shorter; after it none is given."""
    _, csr = new_request(REVIEWS)
    assert expires(Signer(ROOT).sign(csr, REVIEWS, 0, ROOT.expires - 100)[0]) == ROOT.expires
    with pytest.raises(TtlError, match="root certificate ended"):
        Signer(ROOT).sign(csr, REVIEWS, 0, ROOT.expires + 1)


@pytest.mark.parametrize("ttl", [MAX_TTL + 1, -1.0])
def test_life_beyond_the_limit_is_refused(ttl: float) -> None:
    """More than 90 days is an error, as in Istio, not silently less."""
    _, csr = new_request(REVIEWS)
    with pytest.raises(TtlError, match="90 days"):
        Signer(ROOT).sign(csr, REVIEWS, ttl, NOW)


def test_rsa_key_is_accepted() -> None:
    """Istio's agents send RSA 2048 by default."""
    csr = request(rsa.generate_private_key(65537, 2048))
    signed = leaf(Signer(ROOT).sign(csr, REVIEWS, 0, NOW))
    assert signed.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment


def test_unfit_requests_are_refused_with_a_reason() -> None:
    """Weak keys, other kinds of keys, forged, broken and huge requests each say what is wrong."""
    _, good = new_request(REVIEWS)
    der = bytearray(x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    cases = {
        "1024 bits": request(rsa.generate_private_key(65537, 1024)),
        "ed25519": request(ed25519.Ed25519PrivateKey.generate()),
        "curve secp256k1": request(ec.generate_private_key(ec.SECP256K1())),
        "not signed by its own key": forged,
        "not PEM": b"hello",
        "at most 65536": b"-" * 70_000,
    }
    for reason, csr in cases.items():
        with pytest.raises(CsrError, match=f"(?i){reason}"):
            Signer(ROOT).sign(csr, REVIEWS, 0, NOW)


def test_root_survives_saving_and_loading() -> None:
    """A root that was loaded signs for the same trust."""
    again = SelfSignedRoot.load(ROOT.pem.reveal())
    assert again.certificate == ROOT.certificate
    _, csr = new_request(REVIEWS)
    leaf(Signer(again).sign(csr, REVIEWS, 0, NOW)).verify_directly_issued_by(ROOT.certificate)


def test_what_is_no_root_is_refused() -> None:
    """A key of another root, a leaf, or text is not taken for a root."""
    other = SelfSignedRoot.create("cluster.local", NOW)
    key_alone = other.pem.reveal().removesuffix(other.certificate_pem)
    with pytest.raises(RootError, match="not the certificate's"):
        SelfSignedRoot.load(key_alone + ROOT.certificate_pem)
    leaf_key, csr = new_request(REVIEWS)
    with pytest.raises(RootError, match="CA: false"):
        SelfSignedRoot.load(leaf_key.reveal() + Signer(ROOT).sign(csr, REVIEWS, 0, NOW)[0])
    with pytest.raises(RootError, match="expected PEM"):
        SelfSignedRoot.load(b"")


def test_keys_do_not_print() -> None:
    """A key in a log or a traceback shows as [redacted]."""
    key, csr = new_request(REVIEWS)
    assert "PRIVATE" not in repr((key, ROOT.pem)) and b"PRIVATE" not in csr
