"""Tokens of service accounts."""

import asyncio
import base64
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from lateen.api.meta import ObjectMeta
from lateen.api.pods import Pod, PodSpec
from lateen.local.tokens import ISSUER, Tokens


class Clock:
    """Always the same moment."""

    def now(self) -> float:
        return 1000.5

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


POD = Pod(metadata=ObjectMeta(name="web-1", namespace="shop", uid="u"), spec=PodSpec(service_account_name="clerk"))


def read(text: str, path: Path) -> Any:
    """The claims of a token that the key in the file has signed."""
    header, claims, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in text.split("."))
    assert json.loads(header)["alg"] == "ES256"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    signed = text.rpartition(".")[0].encode()
    key.public_key().verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
    return json.loads(claims)


def test_token_says_who_the_pod_is(tmp_path: Path) -> None:
    """Subject, pod, audience and end are Kubernetes'; ten minutes is the shortest life."""
    path = tmp_path / "key.pem"
    text = asyncio.run(Tokens(path, Clock())(POD, "istio-ca", 60))
    claims = read(text, path)
    assert claims["sub"] == "system:serviceaccount:shop:clerk"
    assert claims["aud"] == ["istio-ca"]
    assert claims["exp"] == 1600
    assert claims["kubernetes.io"]["pod"] == {"name": "web-1", "uid": "u"}


def test_key_lasts_and_is_the_owners(tmp_path: Path) -> None:
    """The next start signs with the same key, which nobody else can read."""
    path = tmp_path / "key.pem"
    first = asyncio.run(Tokens(path, Clock())(POD, "", 3600))
    second = asyncio.run(Tokens(path, Clock())(POD, "", 3600))
    assert [read(each, path)["aud"] for each in (first, second)] == [[ISSUER], [ISSUER]]
    assert path.stat().st_mode & 0o777 == 0o600


class Moving(Clock):
    """A clock that is set by hand."""

    at = 1000.5

    def now(self) -> float:
        return self.at


def signed(header: dict[str, Any], claims: Any, signature: bytes = b"") -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), claims, signature))


def test_only_tokens_of_ours_that_count_now_are_read(tmp_path: Path) -> None:
    """Expired, not yet valid, unsigned, signed with the public key as a secret, another's, tampered with, no token at all: refused."""
    clock = Moving()
    tokens = Tokens(tmp_path / "key.pem", clock)
    text = asyncio.run(tokens(POD, "istio-ca", 600))
    assert tokens.claims(text)["sub"] == "system:serviceaccount:shop:clerk"
    header, claims, signature = text.split(".")
    raw = base64.urlsafe_b64decode(claims + "==")
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    confused = signed({"alg": "HS256", "typ": "JWT"}, raw)[:-1]
    mac = base64.urlsafe_b64encode(hmac.digest(public, confused.encode(), "sha256")).rstrip(b"=").decode()
    other = asyncio.run(Tokens(tmp_path / "other.pem", clock)(POD, "istio-ca", 600))
    altered = base64.urlsafe_b64encode(raw.replace(b"clerk", b"admin")).rstrip(b"=").decode()
    bad = (
        signed({"alg": "none"}, raw),
        f"{confused}.{mac}",
        other,
        f"{header}.{altered}.{signature}",
        f"{header}.{claims}.",
        "",
        "a.b",
        "é",
    )
    for one in bad:
        with pytest.raises(ValueError, match="invalid bearer token"):
            tokens.claims(one)
    for clock.at in (1700.0, 900.0):
        with pytest.raises(ValueError, match="expired"):
            tokens.claims(text)
