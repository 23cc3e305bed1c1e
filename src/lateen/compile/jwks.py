"""JSON Web Key Sets: whether an Envoy can use one. Envoy refuses a whole listener for a set without a usable key (docs/decisions/014)."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["NOBODYS_KEY", "is_usable"]

# A public key whose private half was thrown away when it was made: no token verifies with it.
NOBODYS_KEY = (
    '{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"lateen-no-keys",'
    '"x":"_qVkBMH5XqNHsBwf7iNfajZ970TGsTWQYp69cks8uKA","y":"Sx9rI1R48n8oWTe-Bs25Qwb8C1AtqTykMo45SlDhG2Y"}]}'
)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_NEEDED: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("x", "y"), "oct": ("k",), "OKP": ("x",)}
_CURVES: Mapping[str, tuple[str, ...]] = {"EC": ("P-256", "P-384", "P-521", ""), "OKP": ("Ed25519",)}


def is_usable(text: str) -> bool:
    """Whether `text` is a key set with at least one public key."""
    try:
        keys = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    found = keys.get("keys") if isinstance(keys, dict) else None
    return isinstance(found, list) and any(_is_key(key) for key in found)


def _is_key(key: Any) -> bool:  # noqa: ANN401 - JSON
    if not isinstance(key, dict) or key.get("kty") not in _NEEDED:
        return False
    kind = key["kty"]
    if kind in _CURVES and key.get("crv", "") not in _CURVES[kind]:
        return False
    values = [key.get(name) for name in _NEEDED[kind]]
    return all(isinstance(value, str) and _BASE64URL.fullmatch(value) for value in values)
