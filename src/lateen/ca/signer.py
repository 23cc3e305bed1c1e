"""The authority: a self-signed root, and the leaf certificates that it signs.

A leaf holds exactly one URI, the SPIFFE identity. Where the caller knows which workload it is, the subject names it too
(docs/decisions/008): CN the workload, O its namespace, OU its canonical service, dnQualifier its canonical revision; peers read
it as Envoy's %DOWNSTREAM_PEER_SUBJECT% and %UPSTREAM_PEER_SUBJECT%. It is no DNS name, so that a workload's name can never pass
for a host's.
Time and the root come in; nothing is kept or written here.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from msgspec import Struct

from lateen.ca.csr import PublicKey, public_key
from lateen.ca.spiffe import Identity
from lateen.util.redact import Secret

__all__ = ["DEFAULT_TTL", "MAX_TTL", "Issuer", "RootError", "SelfSignedRoot", "Signer", "TtlError", "WorkloadName", "expires"]

DEFAULT_TTL = 24 * 3600.0
MAX_TTL = 90 * 24 * 3600.0
_ROOT_LIFE = timedelta(days=3650)
_SKEW = timedelta(minutes=2)  # clocks of peers may be behind by this
_END_OF_LIST = b"-----END X509 CRL-----\n"
_LONGEST_NAME = 64  # X.520's bound for CN, O and OU

_RootKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class TtlError(ValueError):
    """A requested life that is not granted."""


class RootError(ValueError):
    """A sentence saying why a key and certificate cannot be the mesh's root."""


class WorkloadName(Struct, frozen=True, kw_only=True):
    """What the mesh itself knows of the workload that a certificate is for."""

    workload: str
    namespace: str
    canonical_service: str = ""
    canonical_revision: str = ""


class SelfSignedRoot:
    """The mesh's root: its key never leaves but in `pem`, which is for the one file that keeps it."""

    def __init__(self, key: _RootKey, certificate: x509.Certificate) -> None:
        self.key = key
        self.certificate = certificate
        self.certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls, trust_domain: str, now: float) -> "SelfSignedRoot":
        """A new ECDSA P-256 root for ten years."""
        name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain[:_LONGEST_NAME])])
        return cls._made(ec.generate_private_key(ec.SECP256R1()), name, now)

    @classmethod
    def _made(cls, key: _RootKey, name: x509.Name, now: float) -> "SelfSignedRoot":
        start = _moment(now)
        builder = (
            x509.CertificateBuilder(
                issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number()
            )
            .not_valid_before(start - _SKEW)
            .not_valid_after(start + _ROOT_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=True, encipher=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @classmethod
    def load(cls, pem: bytes) -> "SelfSignedRoot":
        """The root of what `pem` once gave out; RootError when it is not a key and its certificate authority."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            raise RootError(f"expected PEM of a private key and of its CA certificate: {error}") from None
        if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
            raise RootError(f"a root key of the kind {type(key).__name__} is not accepted; use ECDSA or RSA")
        if not constraints.ca:
            raise RootError("the certificate is not one of a certificate authority (basic constraints say CA: false)")
        if key.public_key() != certificate.public_key():
            raise RootError("the private key is not the certificate's")
        return cls(key, certificate)

    @property
    def issuer(self) -> "Issuer":
        """The root as what signs."""
        return Issuer(key=self.key, certificate=self.certificate, roots_pem=self.certificate_pem)

    def renewed(self, now: float) -> "SelfSignedRoot":
        """A root of the same name and key for another ten years: what the old one vouched for stays good."""
        return self._made(self.key, self.certificate.subject, now)

    @property
    def pem(self) -> Secret:
        """Key and certificate, for `load`."""
        encoded = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Secret(encoded + self.certificate_pem)

    @property
    def expires(self) -> float:
        """When it ends, in seconds since the epoch."""
        return self.certificate.not_valid_after_utc.timestamp()


class Issuer(Struct, frozen=True, kw_only=True):
    """Who signs: a key and its certificate, the certificates between it and the roots (itself first; none for a root), the roots; PEM.

    `revoked_pem`: lists of revoked certificates of all these authorities, but for this one's where it has revoked none.
    """

    key: _RootKey
    certificate: x509.Certificate
    chain_pem: bytes = b""
    roots_pem: bytes
    revoked_pem: bytes = b""

    def __repr__(self) -> str:
        return f"<issuer {self.certificate.subject.rfc4514_string()}>"


class Signer:
    """Signs requests. The issuer may change while everything runs: what was trusted stays trusted beside the new (`trust`, then `use`)."""

    def __init__(self, root: SelfSignedRoot | Issuer) -> None:
        self._root = root.issuer if isinstance(root, SelfSignedRoot) else root
        self._trusted = _parts(self._root.roots_pem)
        self._further: tuple[bytes, ...] = ()
        self._known = [self._root]
        self.revoked_pem = b""
        self._watchers: set[Callable[[], None]] = set()
        self.version = 0

    @property
    def issuer(self) -> Issuer:
        """Who signs now."""
        return self._root

    def trust(self, issuer: Issuer) -> None:
        """Have peers trust the roots of `issuer` as well: the first half of a change."""
        self._trusted = tuple(dict.fromkeys([*_parts(issuer.roots_pem), *self._trusted]))
        self._known = [issuer, *(one for one in self._known if one.certificate != issuer.certificate)]
        self._tell()

    def trust_further(self, roots_pem: bytes) -> None:
        """Have peers trust these roots beside those of the mesh's authorities, in place of what was given here before."""
        further = _parts(roots_pem)
        if further != self._further:
            self._further = further
            self._tell()

    def use(self, issuer: Issuer) -> None:
        """Sign with `issuer` from now on, once its roots are trusted everywhere."""
        self._root = issuer
        self.trust(issuer)

    def revoke(self, now: float) -> None:
        """Have peers refuse what the issuer's lists name: the last step of a change, as it needs a list of everybody who signed.

        Authorities in whose name we can sign, and that have no list, get an empty one.
        """
        lists = self._root.revoked_pem
        named = {one.issuer for one in _lists(lists)}
        if lists:
            lists += b"".join(_empty_list(one, now) for one in self._known if one.certificate.subject not in named)
        if lists != self.revoked_pem:
            self.revoked_pem = lists
            self._tell()

    def reissue(self) -> None:
        """Have everybody ask for a new certificate now."""
        self._tell()

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change, until the function returned is called."""
        self._watchers.add(changed)
        return lambda: self._watchers.discard(changed)

    def _tell(self) -> None:
        self.version += 1
        for changed in tuple(self._watchers):
            changed()

    @property
    def roots_pem(self) -> bytes:
        """What peers must trust."""
        return b"".join(dict.fromkeys([*self._trusted, *self._further]))

    def sign(
        self,
        csr_pem: bytes,
        identity: Identity,
        ttl: float,
        now: float,
        *,
        workload: WorkloadName | None = None,
        dns_names: Sequence[str] = (),
    ) -> tuple[bytes, ...]:
        """The chain in PEM, leaf first, root last, for the key of a request.

        `identity`, `workload` and `dns_names` (a control plane's own) are the caller's word. A `ttl` of 0 is the default.
        CsrError and TtlError say why not.
        """
        if ttl < 0 or ttl > MAX_TTL:
            raise TtlError(f"a certificate for {ttl:.0f} s was asked for; at most {MAX_TTL:.0f} s (90 days) are given")
        start = _moment(now)
        end = min(start + timedelta(seconds=ttl or DEFAULT_TTL), self._root.certificate.not_valid_after_utc)
        if end <= start:
            raise TtlError(f"the mesh's root certificate ended on {end:%Y-%m-%d}; make a new root")
        leaf = self._leaf(public_key(csr_pem), _subject(workload), _names(identity, dns_names))
        signed = leaf.not_valid_before(start - _SKEW).not_valid_after(end).sign(self._root.key, hashes.SHA256())
        chain = _parts(self._root.chain_pem)
        return signed.public_bytes(serialization.Encoding.PEM), *chain, self.roots_pem

    def _leaf(self, key: PublicKey, subject: x509.Name, names: x509.SubjectAlternativeName) -> x509.CertificateBuilder:
        issuer = self._root.certificate.subject
        return (
            x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key, serial_number=x509.random_serial_number())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(sign_certificates=False, encipher=isinstance(key, rsa.RSAPublicKey)), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(_authority(self._root.certificate), critical=False)
            .add_extension(names, critical=not len(subject.rdns))
        )


def _lists(pems: bytes) -> Iterator[x509.CertificateRevocationList]:
    for part in pems.split(_END_OF_LIST)[:-1]:
        yield x509.load_pem_x509_crl(part + _END_OF_LIST)


def _empty_list(issuer: Issuer, now: float) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(_moment(now) - _SKEW)
        .next_update(issuer.certificate.not_valid_after_utc)
        .add_extension(_authority(issuer.certificate), critical=False)
    )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def expires(certificate_pem: bytes) -> float:
    """When the (first) certificate ends, in seconds since the epoch."""
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc.timestamp()


def _authority(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """The identifier by which verifiers find the issuer's certificate: the one that it says of itself, if it says one."""
    try:
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(certificate.public_key())  # type: ignore[arg-type]  # ECDSA or RSA
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _parts(pems: bytes) -> tuple[bytes, ...]:
    """The certificates of a text, one by one."""
    return tuple(one.public_bytes(serialization.Encoding.PEM) for one in x509.load_pem_x509_certificates(pems)) if pems else ()


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _names(identity: Identity, dns_names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri), *map(x509.DNSName, dns_names)])


def _subject(workload: WorkloadName | None) -> x509.Name:
    """A name too long for X.520 is left out: peers then know the identity alone, never half a name."""
    if workload is None:
        return x509.Name([])
    parts: tuple[tuple[ObjectIdentifier, str], ...] = (
        (NameOID.COMMON_NAME, workload.workload),
        (NameOID.ORGANIZATION_NAME, workload.namespace),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, workload.canonical_service),
        (NameOID.DN_QUALIFIER, workload.canonical_revision),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if 0 < len(value) <= _LONGEST_NAME])


def _key_usage(*, sign_certificates: bool, encipher: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
