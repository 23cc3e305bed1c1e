"""A configuration resource as it goes over the wire, and the set of them that a proxy shall hold.

Why: `ads` and `serve` know bytes, names and versions only; nothing behind this file knows of Envoy's messages. A frame holds
the resource already wrapped as one entry of a response, so that a response is a join of frames.
"""

from collections.abc import Mapping

from msgspec import Struct

from lateen.api.meta import Key
from lateen.util.wire import length_delimited, text

__all__ = ["Frame", "Owner", "Snapshot", "make_frame"]

Owner = tuple[Key, int]  # object, generation


class Frame(Struct, frozen=True, kw_only=True, weakref=True):
    """One xDS resource, ready to be sent.

    `entry` is field 2 of a DeltaDiscoveryResponse (a Resource with version, Any and name); its slice `start:end` is the same
    Any as field 2 of a DiscoveryResponse. `version` is a hash of the resource's bytes.
    """

    name: str
    type_url: str
    version: str
    entry: bytes
    start: int
    end: int
    owners: tuple[Owner, ...] = ()

    @property
    def sotw_entry(self) -> bytes:
        """Field 2 of a DiscoveryResponse."""
        return self.entry[self.start : self.end]


def make_frame(*, name: str, type_url: str, version: str, resource: bytes, owners: tuple[Owner, ...] = ()) -> Frame:
    """Wrap the serialised message `resource`."""
    version_field = text(1, version)
    any_field = length_delimited(2, text(1, type_url) + length_delimited(2, resource))
    body = version_field + any_field + text(3, name)
    entry = length_delimited(2, body)
    start = len(entry) - len(body) + len(version_field)
    return Frame(name=name, type_url=type_url, version=version, entry=entry, start=start, end=start + len(any_field), owners=owners)


Snapshot = Mapping[str, Mapping[str, Frame]]  # type URL -> resource name -> Frame: the complete set
