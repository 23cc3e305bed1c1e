"""An authority that somebody else made (`cacerts`): key, certificate, chain, roots and lists of what was revoked, as Istio names the
files; checked before use.

The key must be the certificate's, the certificate a CA's that signs, every link of the chain signed by the next, up to one of the roots,
and all of it valid now: a half-written or mixed-up set is refused whole, and what signed before goes on. With lists of revoked
certificates every authority of the chain must have one, since Envoy takes no certificate of an authority without. Must not read files.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lateen.ca.signer import Issuer, RootError

__all__ = ["FILES", "read_plugin"]

# Each part under Istio's name and under the one that cert-manager and kubectl give it.
_KEY, _CERTIFICATE = ("ca-key.pem", "tls.key"), ("ca-cert.pem", "tls.crt")
_CHAIN, _ROOTS = ("cert-chain.pem",), ("root-cert.pem", "ca.crt")
_REVOKED = ("ca-crl.pem",)
FILES = (*_KEY, *_CERTIFICATE, *_CHAIN, *_ROOTS, *_REVOKED)
_ONE_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


def read_plugin(files: Mapping[str, bytes], now: float) -> Issuer:
    """The authority of these files; RootError says which part is wrong and what it should be."""
    key_name, key_pem = _part(files, _KEY)
    key = _key(key_name, key_pem)
    certificate_name, certificate_pem = _part(files, _CERTIFICATE)
    roots_name, roots_pem = _part(files, _ROOTS)
    own = _certificates(certificate_name, certificate_pem)
    roots = _certificates(roots_name, roots_pem)
    chain = _certificates(_CHAIN[0], files[_CHAIN[0]]) if _CHAIN[0] in files else own
    if chain[0] != own[0]:
        chain = (own[0], *chain)
    if key.public_key() != own[0].public_key():
        raise RootError(f"{key_name} is not the key of {certificate_name}")
    links = tuple(one for one in chain if one not in roots)
    for link in links or chain[:1]:
        _check_authority(link, now)
    _check_chain(links or chain[:1], roots)
    encoded = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in links)
    all_roots = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in roots)
    revoked = _revoked(files[_REVOKED[0]], links or chain[:1], roots, now) if files.get(_REVOKED[0]) else b""
    return Issuer(key=key, certificate=own[0], chain_pem=encoded, roots_pem=all_roots, revoked_pem=revoked)


def _part(files: Mapping[str, bytes], names: tuple[str, ...]) -> tuple[str, bytes]:
    name = next((one for one in names if files.get(one)), None)
    if name is None:
        raise RootError(f"{' or '.join(names)} is missing or empty")
    return name, files[name]


def _key(name: str, pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise RootError(f"{name}: expected PEM of a private key without a password") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise RootError(f"{name}: keys of the kind {type(key).__name__} are not accepted; use ECDSA or RSA")
    return key


def _certificates(name: str, pem: bytes) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise RootError(f"{name}: expected PEM of certificates: {error}") from None


def _check_authority(certificate: x509.Certificate, now: float) -> None:
    name = certificate.subject.rfc4514_string()
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        raise RootError(f"{name} does not say that it is a certificate authority (basic constraints)") from None
    if not constraints.ca:
        raise RootError(f"{name} is not a certificate authority (basic constraints say CA: false)")
    moment = datetime.fromtimestamp(now, UTC)
    if not certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc:
        raise RootError(
            f"{name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d} only"
        )


def _check_chain(links: tuple[x509.Certificate, ...], roots: tuple[x509.Certificate, ...]) -> None:
    for link, parents in zip(links, [*((one,) for one in links[1:]), roots], strict=True):
        if not any(link == parent or _signed_by(link, parent) for parent in parents):
            wanted = "the next certificate of the chain" if parents is not roots else "a root of root-cert.pem"
            raise RootError(f"{link.subject.rfc4514_string()} is not signed by {wanted}")


def _revoked(pem: bytes, links: tuple[x509.Certificate, ...], roots: tuple[x509.Certificate, ...], now: float) -> bytes:
    """The lists, checked: read, signed by an authority of ours, not ended, and none lacking but the one that we can sign ourselves."""
    name = _REVOKED[0]
    try:
        lists = [x509.load_pem_x509_crl(one) for one in _ONE_LIST.findall(pem)]
    except ValueError as error:
        raise RootError(f"{name}: expected PEM of lists of revoked certificates: {error}") from None
    if not lists:
        raise RootError(f"{name}: expected PEM of lists of revoked certificates (BEGIN X509 CRL)")
    for one in lists:
        _check_list(one, (*links, *roots), now)
    signers = {one.issuer for one in lists}
    own_root = next((root for root in roots if links[-1] == root or _signed_by(links[-1], root)), links[-1])
    lacking = [one for one in (*links[1:], own_root) if one.subject not in signers and one != links[0]]
    if lacking:
        raise RootError(f"{name} has no list of {lacking[0].subject.rfc4514_string()}: proxies would refuse every certificate below it")
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in lists)


def _check_list(revoked: x509.CertificateRevocationList, authorities: Iterable[x509.Certificate], now: float) -> None:
    who = revoked.issuer.rfc4514_string()
    known = [one.public_key() for one in authorities if one.subject == revoked.issuer]
    if not any(isinstance(key, (ec.EllipticCurvePublicKey, rsa.RSAPublicKey)) and revoked.is_signature_valid(key) for key in known):
        raise RootError(f"{_REVOKED[0]}: the list of {who} is not signed by an authority of this chain")
    end = revoked.next_update_utc
    if end is not None and end.timestamp() <= now:
        raise RootError(f"{_REVOKED[0]}: the list of {who} ended on {end:%Y-%m-%d %H:%M} UTC; make a new one")


def _signed_by(certificate: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
