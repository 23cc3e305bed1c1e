"""One client's subscription to one resource type: what it asked for, what it was sent, what it has answered.

Rules (xDS protocol, "Subscribing to Resources"): a first request without names is a wildcard; `*` is one explicitly; an
explicit name list later ends the implied wildcard only in state-of-the-world. One push is in flight at a time, so a slow client
gets the latest state instead of a queue. Must not know of streams, other types or transports.
"""

from collections.abc import Mapping

from lateen.ads.messages import CDS, LDS, Push, Request
from lateen.model.frame import Frame

__all__ = ["Differences", "Subscription"]

WILDCARD = "*"
_REMEMBERED = 16  # pairs of sets whose differences are remembered
_NOTHING: Mapping[str, Frame] = {}


class Differences:
    """What is new between two sets; many streams go from the same one to the same one."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Mapping[str, Frame], Mapping[str, Frame], tuple[Frame, ...]]] = {}

    def __call__(self, before: Mapping[str, Frame], after: Mapping[str, Frame]) -> tuple[Frame, ...]:
        key = id(before), id(after)  # both are kept, so that their numbers stay theirs
        known = self._known.get(key)
        if known is None:
            held = before.get
            found = tuple(
                new for name, new in after.items() if (old := held(name)) is not new and (old is None or old.version != new.version)
            )
            known = self._known[key] = before, after, found
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return known[2]


class Subscription:
    """State of one type on one stream."""

    __slots__ = (
        "_absent",
        "_all_of",
        "_differences",
        "_known",
        "acked",
        "in_flight",
        "names",
        "nonce",
        "sent",
        "sotw",
        "type_url",
        "wildcard",
    )

    def __init__(self, type_url: str, *, sotw: bool, differences: Differences) -> None:
        self.type_url = type_url
        self.sotw = sotw
        self._differences = differences
        self.wildcard = False
        self.names: frozenset[str] = frozenset()
        self.sent: Mapping[str, Frame] = _NOTHING
        self.in_flight: Push | None = None
        self.nonce = 0
        self.acked = ""  # the last nonce that the client took
        self._known: Mapping[str, str] = {}  # versions a reconnecting client holds, not yet compared
        self._absent: frozenset[str] = frozenset()  # names it was told do not exist
        self._all_of: Mapping[str, Frame] | None = None  # a set that was found to be all asked for, with no other name

    def ask(self, request: Request, *, first: bool) -> None:
        """Take over the names of `request`; `first` is the stream's first request of this type."""
        if request.replace:
            self._replace(request.subscribe, first=first)
        else:
            self._change(request, first=first)

    def _replace(self, names: tuple[str, ...], *, first: bool) -> None:
        if first or names:
            self.wildcard = (not names and self.type_url in (CDS, LDS)) or WILDCARD in names
        added = frozenset(names) - {WILDCARD} - self.names
        self.names = frozenset(names) - {WILDCARD}
        self._absent &= self.names
        self._all_of = None
        self._forget(added)

    def _change(self, request: Request, *, first: bool) -> None:
        added = frozenset(request.subscribe)
        if WILDCARD in added or (first and not added):
            self.wildcard = True
        removed = frozenset(request.unsubscribe)
        if WILDCARD in removed:
            self.wildcard = False
        added -= {WILDCARD}
        self.names = (self.names | added) - removed
        self._absent -= added | removed
        self._all_of = None
        self._forget(added | removed)
        if first:
            self._known = request.initial

    def unknown(self, desired: Mapping[str, Frame]) -> int:
        """How long all the names together are that were asked for and are none of the proxy's."""
        return sum(map(len, self.names.difference(desired)))

    def _forget(self, names: frozenset[str]) -> None:
        """Names asked for again are sent again: the client has dropped or never had them."""
        if any(name in self.sent for name in names):
            self.sent = {name: frame for name, frame in self.sent.items() if name not in names}

    def resend(self, names: frozenset[str]) -> None:
        """Send `names` once more, as what depends on them was replaced at the client."""
        self._forget(names)

    def wanted(self, desired: Mapping[str, Frame]) -> Mapping[str, Frame]:
        """Of the proxy's complete set, what this client asked for; the set itself where that is everything."""
        if self.wildcard or self._all_of is desired:
            return desired
        if len(self.names) >= len(desired) and self.names.issuperset(desired):
            if len(self.names) == len(desired):
                self._all_of = desired
            return desired
        return {name: desired[name] for name in self.names if name in desired}

    def next(self, desired: Mapping[str, Frame], *, removals: bool) -> Push | None:
        """The push that brings the client to `desired`, or None; keeps what it no longer should have while not `removals`."""
        if self.in_flight is not None:
            return None
        wanted = self.wanted(desired)
        absent = frozenset() if wanted is self._all_of else self.names.difference(wanted)
        if wanted is self.sent and not (absent - self._absent):
            return None
        changed = self._changed(wanted)
        gone = self._gone(wanted, absent) if removals else ()
        answers_first = self.nonce == 0
        self._settle(wanted, keep=not removals)
        if not changed and not gone and not answers_first:
            return None
        self._absent = absent if removals else self._absent
        frames = tuple(self.sent.values()) if self.sotw else changed
        return self._send(frames, () if self.sotw else gone)

    def _changed(self, wanted: Mapping[str, Frame]) -> tuple[Frame, ...]:
        if not self.sent and not self._known:
            return self._differences(_NOTHING, wanted)
        if self._known:
            return tuple(frame for name, frame in wanted.items() if self._differs(name, frame))
        return self._differences(self.sent, wanted)

    def _differs(self, name: str, frame: Frame) -> bool:
        held = self.sent.get(name)
        if held is not None:
            return held is not frame and held.version != frame.version
        return self._known.get(name) != frame.version

    def _gone(self, wanted: Mapping[str, Frame], absent: frozenset[str]) -> tuple[str, ...]:
        held = {name for name in self.sent if name not in wanted} | {name for name in self._known if name not in wanted}
        return tuple(sorted(held | (absent - self._absent)))

    def _settle(self, wanted: Mapping[str, Frame], *, keep: bool) -> None:
        extra = {name: frame for name, frame in self.sent.items() if name not in wanted} if keep else {}
        self.sent = {**wanted, **extra} if extra else wanted
        if not keep:
            self._known = {}

    def _send(self, frames: tuple[Frame, ...], removed: tuple[str, ...]) -> Push:
        self.nonce += 1
        self.in_flight = Push(self.type_url, frames, removed, str(self.nonce), self.sotw)
        return self.in_flight

    def outstanding(self, desired: Mapping[str, Frame]) -> bool:
        """Whether the client lacks something of `desired` or has not yet answered; removals do not count."""
        if self.in_flight is not None:
            return True
        wanted = self.wanted(desired)
        return wanted is not self.sent and any(self._differs(name, frame) for name, frame in wanted.items())

    def lacks(self, name: str, desired: Frame | None) -> bool:
        """Whether the client has not answered for this form of a resource."""
        if self.in_flight is not None and any(frame.name == name for frame in self.in_flight.frames):
            return True
        return desired is not None and self._differs(name, desired)

    def trailing(self, desired: Mapping[str, Frame]) -> bool:
        """Like `outstanding`, but what the client still has to give up counts too."""
        wanted = self.wanted(desired)
        return self.outstanding(desired) or (wanted is not self.sent and any(name not in wanted for name in self.sent))

    def stale(self, nonce: str) -> bool:
        """Whether a newer push than `nonce` is under way: its answer will tell the names."""
        return nonce != str(self.nonce)

    def answer(self, nonce: str) -> Push | None:
        """The push that `nonce` answers; None for a stale or foreign nonce."""
        push = self.in_flight
        if push is None or push.nonce != nonce:
            return None
        self.in_flight = None
        return push
