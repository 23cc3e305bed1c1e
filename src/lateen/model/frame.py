"""A configuration resource as it goes over the wire, and the set of them that a proxy shall hold.

Why: `ads` and `serve` know bytes, names and versions only; nothing behind this file knows of Envoy's messages.
"""

from collections.abc import Mapping

from msgspec import Struct

from lateen.api.meta import Key

__all__ = ["Frame", "Owner", "Snapshot"]

Owner = tuple[Key, int]  # object, generation


class Frame(Struct, frozen=True):
    """One serialised xDS resource. `version` is a hash of `resource` (the message's bytes, not an Any)."""

    name: str
    type_url: str
    version: str
    resource: bytes
    owners: tuple[Owner, ...] = ()


Snapshot = Mapping[str, Mapping[str, Frame]]  # type URL -> resource name -> Frame: the complete set
