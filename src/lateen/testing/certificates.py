"""Self-signed certificates for the servers of tests."""

import base64
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.message import Message

from lateen.testing.messages import plain

__all__ = ["secret_object", "secret_objects", "self_signed"]


def self_signed(name: x509.GeneralName, *extensions: x509.ExtensionType) -> tuple[x509.Certificate, bytes, bytes]:
    """A new ECDSA P-256 certificate of 2020 to 2119 for `name`, with critical `extensions`: itself, its PEM, and its key's PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(name.value))])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate, certificate.public_bytes(serialization.Encoding.PEM), private


def secret_objects(listeners: Mapping[str, Message], namespace: str) -> Iterator[dict[str, Any]]:
    """Secrets for every name of `kubernetes://` that the listeners ask for, each with a certificate of its own name."""
    names = sorted({name for one in listeners.values() for name in re.findall(r"kubernetes(?:-gateway)?://([\w./-]+)", str(plain(one)))})
    for name in names:
        place, _, own = name.rpartition("/")
        yield secret_object(own, place or namespace)


def secret_object(name: str, namespace: str) -> dict[str, Any]:
    """A Secret with a certificate of the same name, which is also its own authority."""
    _, chain, key = self_signed(x509.DNSName(name))
    data = {"tls.crt": chain, "tls.key": key, "ca.crt": chain, "cacert": chain}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/tls",
        "data": {entry: base64.b64encode(value).decode() for entry, value in data.items()},
    }
