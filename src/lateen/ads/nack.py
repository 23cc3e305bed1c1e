"""Which of a refused push's resources the refusal is about, and which objects.

Envoy names the resource in its message for clusters, listeners and most others; where it names none, the whole push is meant.
A resource made of many objects (a route configuration) was good before: what changed since then is at fault.
"""

from collections.abc import Mapping

from lateen.ads.messages import Nack, Push
from lateen.model.frame import Owner

__all__ = ["blame"]

_NONE: frozenset[Owner] = frozenset()


def blame(push: Push, message: str, accepted: Mapping[str, frozenset[Owner]]) -> Nack:
    """The refusal of `push`, narrowed to the frames whose names stand in `message`, and to the owners that differ from the
    `accepted` ones of the frame of that name.
    """
    named = tuple(frame for frame in push.frames if _names(message, frame.name)) or push.frames
    owners = frozenset(owner for frame in named for owner in frame.owners)
    new = frozenset(owner for frame in named for owner in frame.owners if owner not in accepted.get(frame.name, _NONE))
    return Nack(push.type_url, message, named, new or owners)


def _names(message: str, name: str) -> bool:
    start = message.find(name)
    while start >= 0:
        end = start + len(name)
        before, after = message[start - 1 : start], message[end : end + 1]
        if not _part_of_name(before) and not _part_of_name(after):
            return True
        start = message.find(name, start + 1)
    return False


def _part_of_name(char: str) -> bool:
    return bool(char) and (char.isalnum() or char in "_-|")
