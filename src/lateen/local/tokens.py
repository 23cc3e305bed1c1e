"""Tokens of service accounts, as Kubernetes projects them into pods; and whose such a token is.

Why: programs take such a token to prove who they are to others. The key is the mesh's own and lies in its data folder; what is signed
is what the node itself knows of the pod. Must not decide whether a pod is still there.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from lateen.api.pods import Pod
from lateen.runtime.clock import Clock
from lateen.server.rootca import write_private

__all__ = ["ISSUER", "Tokens"]

ISSUER = "https://kubernetes.default.svc.cluster.local"
_SHORTEST = 600


class Tokens:
    """A `volumes.TokenSource` for every pod; the key is read, or made, when the first token is asked for."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._key: ec.EllipticCurvePrivateKey | None = None

    async def __call__(self, pod: Pod, audience: str, seconds: int) -> str:
        """A token of the pod's account for `audience` (empty: the API's own)."""
        meta, account = pod.metadata, pod.spec.service_account_name or "default"
        audiences = [audience] if audience else []
        return self._issue(meta.namespace, account, audiences, seconds, {"pod": {"name": meta.name, "uid": meta.uid}})[0]

    async def of_account(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        """A token of an account that no pod stands for, and when it expires."""
        return self._issue(namespace, account, audiences, seconds, {})

    def check(self) -> None:
        """Read the key where there is one; OSError with a sentence when it is of no use."""
        if self._path.exists():
            self._key = self._load()

    def claims(self, token: str) -> Mapping[str, Any]:
        """What a token of ours that counts now says; ValueError with a sentence for any other."""
        key = self._key = self._key or self._load()
        try:
            claims = jwt.decode(token, ECKey.import_key(_public(key)), algorithms=["ES256"]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError(f"invalid bearer token: {error}") from None
        now = self._clock.now()
        if claims.get("iss") != ISSUER or not claims.get("nbf", now + 1) <= now < claims.get("exp", 0):
            raise ValueError("invalid bearer token: of another issuer, not valid yet, or expired")
        return claims

    def _issue(self, namespace: str, account: str, audiences: Sequence[str], seconds: int, bound: Mapping[str, object]) -> tuple[str, int]:
        key = self._key = self._key or self._load()
        now = int(self._clock.now())
        expires = now + max(seconds, _SHORTEST)
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "aud": list(audiences) or [ISSUER],
            "iat": now,
            "nbf": now,
            "exp": expires,
            "kubernetes.io": {"namespace": namespace, **bound, "serviceaccount": {"name": account}},
        }
        return _signed(claims, key), expires

    def _load(self) -> ec.EllipticCurvePrivateKey:
        if self._path.exists():
            return self._read()
        key = ec.generate_private_key(ec.SECP256R1())
        plain = serialization.NoEncryption()
        write_private(self._path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return key

    def _read(self) -> ec.EllipticCurvePrivateKey:
        try:
            found = serialization.load_pem_private_key(self._path.read_bytes(), None)
        except OSError as error:
            raise OSError(
                f"{self._path}: cannot be read: {error.strerror}. Give it back to the user that runs the mesh, mode 0600."
            ) from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            found = None
        if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
            raise OSError(
                f"{self._path}: expected the key that signs tokens of service accounts (PEM, P-256). Put back the file that belongs to "
                "this mesh, or remove it to have a new one made; tokens given before are no good then."
            )
        return found


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _signed(claims: dict[str, object], key: ec.EllipticCurvePrivateKey) -> str:
    """A JSON web token, signed with ES256."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "ES256", "kid": _text(hashlib.sha256(public).digest()), "typ": "JWT"}
    body = ".".join(_text(msgspec.json.encode(part)) for part in (header, claims))
    signature = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(key.sign(body.encode(), ec.ECDSA(hashes.SHA256()))))
    return f"{body}.{_text(signature)}"


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
