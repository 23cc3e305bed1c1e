"""The shapes that all API types are made of.

Why: one place says how structs behave (frozen, camelCase on the wire, defaults left out) and names the scalar types
that the wire knows but Python does not. Must not know any kind.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

__all__ = [
    "Duration",
    "Int32",
    "Int64",
    "IntOrString",
    "JsonObject",
    "Message",
    "OneOf",
    "OpenMessage",
    "Quantity",
    "UInt32",
    "UInt64",
]

JsonObject = Mapping[str, object]
IntOrString = int | str
Quantity = str | int | float

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
UInt64 = Annotated[int, Meta(ge=0)]  # msgspec itself allows no number beyond 2**64 - 1

# Never longer than what `util.durations.parse` and Envoy take (10,000 years).
_FRACTION = r"(\.[0-9]{0,9})?"
_PART = rf"([0-9]{{1,10}}{_FRACTION}(ns|us|µs|ms|s)|[0-9]{{1,7}}{_FRACTION}[mh]|\.[0-9]{{1,9}}(ns|us|µs|ms|s|m|h))"
Duration = Annotated[
    str,
    Meta(pattern=rf"^(0|-?{_PART}{{1,6}})$", extra={"expected": 'a duration such as "1s", "100ms" or "1h30m"'}),
]


class Message(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """A message all of whose fields are typed: any other field is a mistake of its writer."""


class OpenMessage(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message of which only the fields we read are typed; the others stay in the raw object."""


class OneOf(Message, frozen=True):
    """A message with oneofs: of the fields of each group at most one is set; unset is None."""

    one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __post_init__(self) -> None:
        for group in self.one_of:
            if sum(getattr(self, name) is not None for name in group) > 1:
                raise ValueError(f"only one of {', '.join(group)} may be given")
