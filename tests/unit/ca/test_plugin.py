"""An authority that somebody else made: which sets of files are one, what it signs, and how the mesh changes over to it."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification

from lateen.ca.csr import new_request
from lateen.ca.plugin import read_plugin
from lateen.ca.signer import RootError, SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity

NOW = 1_800_000_000.0
WHO = Identity("cluster.local", "default", "reviews")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Key | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def made(name: str, key: Key, issuer: tuple[x509.Name, Key] | None = None, *, days: int = 100, ca: bool = True) -> x509.Certificate:
    """A certificate of `key`, by `issuer` or itself, from yesterday on for `days`."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    parent, parent_key = issuer or (subject, key)
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder(parent, subject, key.public_key(), x509.random_serial_number(), start, start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(parent_key, hashes.SHA256())
    )


def text(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


ROOT_KEY, CA_KEY = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
ROOT = made("root", ROOT_KEY)
CA = made("intermediate", CA_KEY, (ROOT.subject, ROOT_KEY))
FILES = {"ca-key.pem": pem(CA_KEY), "ca-cert.pem": text(CA), "cert-chain.pem": text(CA), "root-cert.pem": text(ROOT)}


@pytest.mark.parametrize("chain", [text(CA), text(CA, ROOT), None], ids=["intermediate", "with the root", "none"])
def test_a_leaf_chains_through_the_intermediate_to_the_root(chain: bytes | None) -> None:
    """Leaf first, then the intermediate, the roots last; the leaf verifies for the root, and the key may be RSA."""
    files = {name: part for name, part in {**FILES, "cert-chain.pem": chain}.items() if part is not None}
    signed = Signer(read_plugin(files, NOW)).sign(new_request(WHO)[1], WHO, 0, NOW)
    assert signed[1:] == (text(CA), text(ROOT))
    leaf = x509.load_pem_x509_certificate(signed[0])
    store = verification.Store([ROOT])
    policy = verification.PolicyBuilder().store(store).time(datetime.fromtimestamp(NOW, UTC))
    assert len(policy.build_client_verifier().verify(leaf, [CA]).chain) == 3


def test_the_names_of_other_tools_are_read() -> None:
    """`tls.crt`, `tls.key` and `ca.crt`, as cert-manager writes them."""
    issuer = read_plugin({"tls.key": pem(CA_KEY), "tls.crt": text(CA, ROOT), "ca.crt": text(ROOT)}, NOW)
    assert issuer.certificate == CA
    assert "PRIVATE" not in repr(issuer)


OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ca-key.pem": b""}, "missing or empty"),
        ({"ca-key.pem": pem(CA_KEY)[:200]}, "expected PEM of a private key"),
        ({"ca-key.pem": pem(OTHER_KEY)}, "is not the key of"),
        ({"ca-key.pem": pem(ed25519.Ed25519PrivateKey.generate())}, "use ECDSA or RSA"),
        ({"ca-cert.pem": text(CA)[:300]}, "expected PEM of certificates"),
        ({"root-cert.pem": b""}, "missing or empty"),
        ({"root-cert.pem": text(made("root", OTHER_KEY))}, "is not signed by"),
        ({"cert-chain.pem": text(CA, made("other", OTHER_KEY))}, "is not signed by"),
        ({"ca-cert.pem": text(made("ca", CA_KEY, (ROOT.subject, ROOT_KEY), days=1)), "cert-chain.pem": b""}, "valid from"),
        (
            {"ca-cert.pem": text(made("leaf", CA_KEY, (ROOT.subject, ROOT_KEY), ca=False)), "cert-chain.pem": b""},
            "not a certificate authority",
        ),
    ],
)
def test_what_is_no_authority_is_refused_whole(changed: dict[str, bytes], said: str) -> None:
    """Half-written files, another's key, a key of another kind, foreign roots, broken chains, ended certificates: each with a sentence."""
    files = {name: part for name, part in {**FILES, **changed}.items() if part or name in {"ca-key.pem", "root-cert.pem"}}
    with pytest.raises(RootError, match=said):
        read_plugin(files, NOW)


def test_a_change_is_trusted_before_it_signs() -> None:
    """`trust` adds the new roots while the old one signs, `use` lets the new one sign and keeps the old roots; each tells who watches."""
    old, new = SelfSignedRoot.create("cluster.local", NOW), read_plugin(FILES, NOW)
    signer, told = Signer(old), []
    stop = signer.watch(lambda: told.append(signer.version))
    signer.trust(new)
    assert signer.roots_pem == text(ROOT) + old.certificate_pem
    assert signer.sign(new_request(WHO)[1], WHO, 0, NOW)[1:] == (signer.roots_pem,)
    signer.use(new)
    assert signer.sign(new_request(WHO)[1], WHO, 0, NOW)[1:] == (text(CA), text(ROOT) + old.certificate_pem)
    stop()
    signer.use(new)
    assert told == [1, 2]


def test_a_renewed_root_vouches_for_what_the_old_one_signed() -> None:
    """Same name, same key, ten years more."""
    old = SelfSignedRoot.create("cluster.local", NOW)
    leaf = x509.load_pem_x509_certificate(Signer(old).sign(new_request(WHO)[1], WHO, 0, NOW)[0])
    renewed = old.renewed(NOW + 9 * 365 * 24 * 3600)
    leaf.verify_directly_issued_by(renewed.certificate)
    assert renewed.expires > old.expires


def revoking(issuer: x509.Certificate, key: Key, *serials: int, days: int = 10) -> bytes:
    """The list of an authority, in PEM."""
    now = datetime.fromtimestamp(NOW, UTC)
    builder = x509.CertificateRevocationListBuilder(issuer.subject, now - timedelta(days=20), now + timedelta(days=days))
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        builder = builder.add_revoked_certificate(revoked)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_whoever_signs_without_a_list_gets_an_empty_one() -> None:
    """The root's list is the operator's; the intermediate's and the old root's are made, since proxies want one of every authority."""
    files = {**FILES, "ca-crl.pem": revoking(ROOT, ROOT_KEY, 7)}
    signer, new = Signer(SelfSignedRoot.create("cluster.local", NOW)), read_plugin(files, NOW)
    signer.use(new)
    assert signer.revoked_pem == b""
    signer.revoke(NOW)
    parts = [part + b"-----END X509 CRL-----" for part in signer.revoked_pem.split(b"-----END X509 CRL-----")[:-1]]
    lists = {one.issuer.rfc4514_string(): one for one in map(x509.load_pem_x509_crl, parts)}
    assert {name: len(one) for name, one in lists.items()} == {"CN=root": 1, "CN=intermediate": 0, "O=cluster.local": 0}
    assert lists["CN=intermediate"].is_signature_valid(CA_KEY.public_key())
    signer.use(read_plugin(FILES, NOW))
    signer.revoke(NOW)
    assert signer.revoked_pem == b""


@pytest.mark.parametrize(
    ("revoked", "said"),
    [
        (b"rubbish", "expected PEM of lists"),
        (revoking(ROOT, ROOT_KEY)[:150] + b"-----END X509 CRL-----\n", "expected PEM of lists"),
        (revoking(ROOT, OTHER_KEY), "is not signed by an authority of this chain"),
        (revoking(made("other", OTHER_KEY), OTHER_KEY), "is not signed by an authority of this chain"),
        (revoking(ROOT, ROOT_KEY, days=-1), "ended on"),
        (revoking(CA, CA_KEY), "has no list of CN=root"),
    ],
)
def test_lists_that_would_stop_the_mesh_are_refused(revoked: bytes, said: str) -> None:
    """Unreadable, forged, foreign, ended, and without the root's: with a sentence, and the set is not taken over."""
    with pytest.raises(RootError, match=said):
        read_plugin({**FILES, "ca-crl.pem": revoked}, NOW)
