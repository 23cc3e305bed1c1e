"""A value that must never be printed: keys, tokens; and JSON without them."""

import base64
import binascii

__all__ = ["Secret", "redacted"]

_HIDDEN = "[redacted]"
_SECRET_FIELDS = frozenset(
    {"privateKey", "password", "sessionTicketKeys", "genericSecret", "hmacSecret", "clientSecret", "tokenSecret", "accessKey", "secretKey"}
)
_PRIVATE = "PRIVATE KEY-----"


class Secret:
    """Bytes whose `repr` and `str` are `[redacted]`; only `reveal()` gives them out."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves; call it only where they are used."""
        return self._value

    def __repr__(self) -> str:
        return "[redacted]"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def redacted(value: object) -> object:
    """JSON without what fields of Envoy's and Istio's that hold secrets say, and without private keys wherever they stand."""
    if isinstance(value, dict):
        return {name: _hidden(each) if name in _SECRET_FIELDS and each else redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return _HIDDEN if isinstance(value, str) and _holds_key(value) else value


def _hidden(value: object) -> object:
    return {"inlineBytes": base64.b64encode(_HIDDEN.encode()).decode()} if isinstance(value, dict) else _HIDDEN


def _holds_key(text: str) -> bool:
    if _PRIVATE in text:
        return True
    if not text.startswith("LS0tLS1CRUdJTi"):  # base64 of "-----BEGIN"
        return False
    try:
        return _PRIVATE.encode() in base64.b64decode(text)
    except binascii.Error:
        return False
