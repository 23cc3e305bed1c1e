"""Which of a refused push's resources the refusal is about, and which objects.

Envoy names the resource in its message for clusters, listeners and most others; where it names none, the whole push is meant.
Of the objects that such a resource is made of, those that no client has taken yet in that generation are at fault; where Envoy names a
policy among them, or says again what it said of some, those.
"""

import re

from lateen.ads.messages import Nack, Push
from lateen.api.meta import Key
from lateen.model.frame import Frame, Owner

__all__ = ["Taken", "blame", "named_in"]


_DUMPED = re.compile(r"goo\.gle/debug\w*\s.*\n: (?=\S)", re.DOTALL)  # the whole resource as text, before what is wrong with it


class Taken:
    """The generation of each object that some client has taken, by type: in another type it may not have been tried yet."""

    def __init__(self) -> None:
        self._generations: dict[str, dict[Key, int]] = {}
        self._frames: dict[str, dict[str, Frame]] = {}  # by type: the last one noted of each name: most clients take the same
        self._last: dict[str, tuple[Frame, ...]] = {}  # by type: the last push noted, for the same reason

    def note(self, push: Push) -> None:
        """A client has acknowledged `push`."""
        if self._last.get(push.type_url) is push.frames:
            return
        self._last[push.type_url] = push.frames
        noted = self._frames.setdefault(push.type_url, {})
        generations = self._generations.setdefault(push.type_url, {})
        for frame in push.frames:
            if noted.get(frame.name) is not frame:
                noted[frame.name] = frame
                generations.update(frame.owners)

    def forget(self, key: Key) -> None:
        """The object is gone; one of the same name may come and count its generations anew."""
        for generations in self._generations.values():
            generations.pop(key, None)
        self._frames.clear()
        self._last.clear()

    def has(self, type_url: str, owner: Owner) -> bool:
        """Whether some client has taken the object as it is, in a resource of this type."""
        return self._generations.get(type_url, {}).get(owner[0]) == owner[1]


def blame(push: Push, message: str, taken: Taken, before: Nack | None = None) -> Nack:
    """The refusal of `push`, narrowed to the frames whose names stand in `message` and to the owners that nobody has taken.

    `before` is the refusal that stood till now.
    """
    named = tuple(frame for frame in push.frames if named_in(message, frame.name)) or push.frames
    owners = frozenset(owner for frame in named for owner in frame.owners)
    new = frozenset(owner for owner in owners if not taken.has(push.type_url, owner))
    reason = _DUMPED.sub("", message, count=1)
    if policies := frozenset(owner for owner in owners if f"ns[{owner[0].namespace}]-policy[{owner[0].name}]-" in reason):
        new = policies
    elif before is not None and before.certain and before.message == reason and before.owners <= new:
        new = before.owners
    return Nack(push.type_url, reason, named, new or owners, bool(new))


def named_in(message: str, name: str) -> bool:
    """Whether the name stands in the message, not as a part of a longer one."""
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
