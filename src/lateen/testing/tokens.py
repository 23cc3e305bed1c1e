"""Tokens for tests: an issuer with a key of its own, made for the run. Must not be used by the product."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lateen.runtime.clock import SystemClock

__all__ = ["Issuer", "encode"]


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Signs tokens with RS256; `jwks` are its public keys."""

    def __init__(self, name: str, kid: str = "one") -> None:
        self.name, self.kid = name, kid
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def modulus(self) -> bytes:
        return self._key.public_key().public_numbers().n.to_bytes(256, "big")

    @property
    def jwks(self) -> str:
        key = {"kty": "RSA", "kid": self.kid, "alg": "RS256", "use": "sig", "n": encode(self.modulus), "e": "AQAB"}
        return json.dumps({"keys": [key]})

    def token(self, header: dict[str, Any] | None = None, **claims: object) -> str:
        """A token that is good for five minutes, but for what `header` and `claims` say otherwise; None leaves a claim out."""
        now = int(SystemClock().now())
        payload = {"iss": self.name, "sub": "alice", "iat": now, "exp": now + 300, **claims}
        parts = ({"alg": "RS256", "typ": "JWT", "kid": self.kid, **(header or {})}, {k: v for k, v in payload.items() if v is not None})
        signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{encode(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
