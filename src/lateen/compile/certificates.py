"""Whether Envoy can use a certificate, its key, an authority: judged before they are sent.

Why: a refusal of a secret reaches the person who wrote it late and in the words of a library, and may stand in the way of a whole
listener. What only the time decides (expired, not yet valid) is left to the handshake. No text that is returned holds any of the key.
Must not know where the bytes come from.
"""

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

__all__ = ["authority_fault", "pair_fault"]

_SMALLEST_RSA = 2048
_BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


def pair_fault(chain: bytes, key: bytes) -> str:
    """What is wrong with a chain (leaf first) and its private key, both PEM; "" where Envoy takes them."""
    certificates = _certificates(chain)
    if not certificates:
        return "holds no certificates under tls.crt (or cert) that can be read: they must be whole, in PEM, the server's own first"
    try:
        private = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        return "holds an encrypted private key under tls.key (or key); store it without a password"
    except (UnsupportedAlgorithm, ValueError):
        return "holds no private key under tls.key (or key) that can be read: it must be whole, in PEM, of RSA or an elliptic curve"
    public = _public(certificates[0])
    return _weak(public) or _mismatch(public, private)


def _certificates(data: bytes) -> list[x509.Certificate]:
    """All certificates of a text; none where one of them cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        return []
    return found if len(found) == len(_BEGIN.findall(data)) else []


def _public(certificate: x509.Certificate) -> PublicKeyTypes | None:
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None


def _weak(public: PublicKeyTypes | None) -> str:
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _SMALLEST_RSA:
        return f"holds a certificate with an RSA key of {public.key_size} bits, and Envoy takes {_SMALLEST_RSA} or more"
    if isinstance(public, ec.EllipticCurvePublicKey) and not isinstance(public.curve, _CURVES):
        return f"holds a certificate with a key on the curve {public.curve.name}, and Envoy takes P-256, P-384 and P-521"
    return ""


def _mismatch(public: PublicKeyTypes | None, private: PrivateKeyTypes) -> str:
    if public is None or _encoded(public) == _encoded(private.public_key()):
        return ""
    return "holds a private key that does not belong to the (first) certificate"


def _encoded(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def authority_fault(roots: bytes, revoked: bytes) -> str:
    """What is wrong with certificates of authorities and lists of what they revoked, both PEM; "" where they can be used.

    Envoy takes a text that is no list and then revokes nothing: that is refused here.
    """
    if not _certificates(roots):
        return "holds no CA certificates under ca.crt (or cacert) that can be read: they must be whole and in PEM"
    if revoked:
        try:
            x509.load_pem_x509_crl(revoked)
        except ValueError:
            return "holds no list of revoked certificates under ca.crl (or crl) that can be read: it must be whole and in PEM"
    return ""
