"""What the embedded API's TLS door needs: a certificate for 127.0.0.1, and the owner's token; kept in the data folder.

Why kept: a kubeconfig that was printed once goes on working after the mesh was started anew. Must not listen.
"""

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from lateen.server.rootca import write_private
from lateen.util.redact import Secret

__all__ = ["API_ADDRESS", "ApiDoor", "load_or_create_door", "read_door"]

API_ADDRESS = ("127.0.0.1", 16443)
_YEARS = timedelta(days=3650)
_EARLIER = timedelta(hours=1)  # clocks differ
_TOKEN = 43  # characters: 32 bytes


class ApiDoor(Struct, frozen=True, kw_only=True):
    """`authority` is the PEM that clients trust, `certificate` a file with chain and key; `address` where the door is open now."""

    certificate: Path
    authority: str
    token: Secret
    address: str

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate)
        return context


def load_or_create_door(folder: Path, port: int, now: float) -> ApiDoor:
    """The door's certificate and token in `folder`, made at the first call; it is open at `port` now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate, token = folder / "api.pem", folder / "token"
    if not certificate.exists():
        write_private(certificate, _self_signed(datetime.fromtimestamp(now, UTC)))
    if not token.exists():
        write_private(token, secrets.token_urlsafe(32).encode())
    write_private(folder / "address", f"https://{API_ADDRESS[0]}:{port}".encode())
    return read_door(folder)


def read_door(folder: Path) -> ApiDoor:
    """The door as it was made last; OSError when there is none, ValueError when it is not as it was made."""
    certificate = folder / "api.pem"
    pem = certificate.read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----\n"
    token = (folder / "token").read_bytes()
    if len(token.strip()) < _TOKEN:
        raise ValueError("the token was cut")  # a short one could be guessed, an empty one lets everybody in
    return ApiDoor(
        certificate=certificate,
        authority=pem[: pem.index(end) + len(end)],
        token=Secret(token),
        address=(folder / "address").read_text(encoding="ascii"),
    )


def _self_signed(now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lateen embedded API")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(API_ADDRESS[0])), x509.DNSName("localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + _YEARS)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(serialization.Encoding.PEM) + private
