"""Further roots that a mesh trusts: PEM texts, and the bundles that SPIFFE trust domains publish (a JWK set with certificates).

Must not fetch anything, and must not decide whom a root may vouch for.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lateen.ca.signer import RootError

__all__ = ["bundle_roots", "pem_roots"]

_USE = "x509-svid"


def pem_roots(text: str) -> bytes:
    """The certificate authorities of a PEM text, in one form; RootError says what is wrong."""
    try:
        return _authorities(x509.load_pem_x509_certificates(text.encode()))
    except ValueError as error:
        raise RootError(f"expected PEM of certificates: {error}") from None


def bundle_roots(text: str) -> bytes:
    """The certificate authorities of a SPIFFE bundle, in PEM; RootError says what is wrong."""
    try:
        found = msgspec.json.decode(text)
        ders = [base64.b64decode(der, validate=True) for der in _certificates(found)]
        return _authorities([x509.load_der_x509_certificate(der) for der in ders])
    except (msgspec.DecodeError, ValueError, binascii.Error, TypeError) as error:
        raise RootError(f"expected a SPIFFE bundle, a JWK set with x5c: {error}") from None


def _certificates(bundle: object) -> Iterator[str]:
    keys = bundle.get("keys") if isinstance(bundle, Mapping) else None
    for key in keys if isinstance(keys, list) else []:
        if isinstance(key, Mapping) and key.get("use") == _USE:
            chain = key.get("x5c")
            yield from chain if isinstance(chain, list) else []


def _authorities(certificates: list[x509.Certificate]) -> bytes:
    for one in certificates:
        try:
            constraints = one.extensions.get_extension_for_class(x509.BasicConstraints).value
        except x509.ExtensionNotFound:
            constraints = None
        if constraints is None or not constraints.ca:
            raise RootError(f"{one.subject.rfc4514_string()} is not a certificate authority")
    if not certificates:
        raise RootError("there is no certificate in it")
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
