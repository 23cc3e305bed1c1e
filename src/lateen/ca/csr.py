"""Keys and certificate signing requests: made by a workload's agent, read and checked by the authority.

Why so little is read: a request proves only that its sender holds a key. Names in it are ignored; who the sender is comes from
how it was authenticated.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lateen.ca.spiffe import Identity
from lateen.util.redact import Secret

__all__ = ["CsrError", "PublicKey", "new_request", "public_key"]

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_LARGEST = 64 * 1024  # bytes of PEM
_RSA_BITS = (2048, 8192)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


class CsrError(ValueError):
    """A sentence saying why a request is not signed."""


def new_request(identity: Identity) -> tuple[Secret, bytes]:
    """A new ECDSA P-256 key (PKCS #8 PEM) and a request for it (PEM), naming `identity` for whoever reads logs."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)])
    request = x509.CertificateSigningRequestBuilder(subject_name=x509.Name([])).add_extension(names, critical=True)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(pem), request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def public_key(request_pem: bytes) -> PublicKey:
    """The key that the sender of a request holds; CsrError when the request does not prove it or the key is too weak."""
    if len(request_pem) > _LARGEST:
        raise CsrError(f"the certificate request has {len(request_pem)} bytes; at most {_LARGEST} are read")
    try:
        request = x509.load_pem_x509_csr(request_pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CsrError(f"the certificate request is not PEM of a PKCS #10 request: {error}") from None
    try:
        key = request.public_key()
        proved = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise CsrError(f"the key of the certificate request cannot be used: {error}; use ECDSA P-256 or RSA 2048") from None
    if not proved:
        raise CsrError("the certificate request is not signed by its own key: it was changed, or its sender does not hold the key")
    return _strong(key)


def _strong(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return key
        raise CsrError(f"curve {key.curve.name} is not accepted; use one of {', '.join(_CURVES)}")
    if isinstance(key, rsa.RSAPublicKey):
        if _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
            return key
        raise CsrError(f"an RSA key of {key.key_size} bits is not accepted; use {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
    raise CsrError(f"keys of the kind {type(key).__name__} are not accepted; use ECDSA P-256 or RSA 2048")
