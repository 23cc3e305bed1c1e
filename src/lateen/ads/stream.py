"""One client's stream: requests and new snapshots come in, pushes come out.

Make before break (docs/decisions/003): clusters and endpoints are sent and answered before listeners and routes that may name
them; a cluster is taken away only after the routes that no longer name it were answered. When a cluster is replaced, Envoy waits for
its endpoints again without asking, so they are sent again. Configurations of filters are never taken away: a chain that drains serves
with them still, and Envoy stops asking when none does. Of a refused push nobody knows which of its resources were taken, so all are
sent again with the next change. Delta and state-of-the-world clients run on the same code. Must not do I/O or wait.
"""

from collections.abc import Mapping

import msgspec

from lateen.ads.messages import CDS, ECDS, EDS, LDS, ORDER, RDS, Nack, Push, Request
from lateen.ads.nack import Taken, blame
from lateen.ads.subscription import Differences, Subscription
from lateen.model.frame import Frame, Snapshot

__all__ = ["Stream"]

_MAKERS = (CDS, EDS)
_USERS = (LDS, RDS)
_MOST_UNKNOWN = 1 << 20


class Stream:
    """State of one ADS stream. Every method that returns pushes expects them to be sent in order."""

    def __init__(self, snapshot: Snapshot, *, sotw: bool, taken: Taken | None = None, differences: Differences | None = None) -> None:
        self._snapshot = snapshot
        self._sotw = sotw
        self._subscriptions: dict[str, Subscription] = {}
        self._released = False
        self.held = False  # whether a newer configuration is kept from the client for now
        self.nacks: dict[str, Nack] = {}
        self._taken = taken or Taken()
        self._differences = differences or Differences()
        self._unknown: dict[str, int] = {}  # type -> length of the names that are none of the proxy's
        self._doubtful: dict[str, frozenset[str]] = {}  # type -> names in a push that was refused without saying which

    def on_request(self, request: Request) -> tuple[Push, ...]:
        """A request, an ACK or a NACK; a stale nonce changes no answer but its names count. Other types than ours are not answered."""
        if request.type_url not in ORDER:
            return ()
        first = request.type_url not in self._subscriptions
        if first:
            self._subscriptions[request.type_url] = Subscription(request.type_url, sotw=self._sotw, differences=self._differences)
        subscription = self._subscriptions[request.type_url]
        if request.nonce and not first:
            answered = subscription.answer(request.nonce)
            if answered is None and request.replace and subscription.stale(request.nonce):
                return ()
            if answered is not None:
                self._note(answered, request.error)
                if request.error is None:
                    subscription.acked = answered.nonce
        subscription.ask(request, first=first)
        if request.subscribe:
            self._unknown[request.type_url] = subscription.unknown(self.desired(request.type_url))
        return self._pump()

    @property
    def excess(self) -> str | None:
        """Why the client has to be left: names that are none of its own are kept for it, and only so many."""
        if sum(self._unknown.values()) <= _MOST_UNKNOWN:
            return None
        return f"more than {_MOST_UNKNOWN >> 10} KiB of names that this proxy does not have are asked for: ask for what was sent only"

    def _note(self, push: Push, error: str | None) -> None:
        if error is None:
            self._clear(push)
            self._taken.note(push)
        else:
            self.nacks[push.type_url] = nack = blame(push, error, self._taken, self.nacks.get(push.type_url))
            if len(nack.frames) > 1:
                self._doubtful[push.type_url] = frozenset(frame.name for frame in nack.frames)

    def _clear(self, push: Push) -> None:
        """The client has taken `push`: a refusal stands for the resources that it did not bring anew."""
        nack = self.nacks.pop(push.type_url, None)
        if nack is None or push.full:
            return
        answered = {*push.removed, *(frame.name for frame in push.frames)}
        left = tuple(frame for frame in nack.frames if frame.name not in answered)
        if left:
            self.nacks[push.type_url] = msgspec.structs.replace(nack, frames=left)

    def on_snapshot(self, snapshot: Snapshot) -> tuple[Push, ...]:
        """The proxy's complete configuration is now `snapshot`."""
        self._snapshot = snapshot
        self._released = False
        for type_url in tuple(self._doubtful):
            self._subscriptions[type_url].resend(self._doubtful.pop(type_url))
        return self._pump()

    @property
    def waits(self) -> bool:
        """Whether listeners and routes are held back until the client asks for the endpoints of new clusters."""
        return not self._released and self._unasked_endpoints()

    def on_patience_over(self) -> tuple[Push, ...]:
        """The client did not ask for those endpoints in time: go on without."""
        self._released = True
        return self._pump()

    def synced(self, type_url: str) -> bool:
        """Whether the client has answered everything it asked for of this type, and all there is may be sent."""
        subscription = self._subscriptions.get(type_url)
        return not self.held and subscription is not None and not subscription.outstanding(self._snapshot.get(type_url, {}))

    def desired(self, type_url: str) -> Mapping[str, Frame]:
        """The proxy's complete set of a type, whatever the client asked for."""
        return self._snapshot.get(type_url, {})

    def asks(self, type_url: str, name: str) -> bool:
        """Whether the client wants this resource."""
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and (subscription.wildcard or name in subscription.names)

    def lacks(self, type_url: str, name: str) -> bool:
        """Whether the client has not yet answered that it holds the newest form of a resource, or has refused it."""
        subscription = self._subscriptions[type_url]
        nack = self.nacks.get(type_url)
        if nack is not None and any(frame.name == name for frame in nack.frames):
            return True
        return subscription.lacks(name, self.desired(type_url).get(name))

    def behind(self, type_url: str) -> bool:
        """Whether the client lacks anything that it asked for of this type, or has refused something."""
        return type_url in self.nacks or self._subscriptions[type_url].outstanding(self.desired(type_url))

    @property
    def settled(self) -> bool:
        """Whether the client has answered everything there is for it."""
        return not (self.held or self._busy(self.types))

    def nonces(self, type_url: str) -> tuple[str, str]:
        """Of the last push of a type and of the last that the client took; "" where there is none."""
        subscription = self._subscriptions.get(type_url)
        return (str(subscription.nonce or ""), subscription.acked) if subscription is not None else ("", "")

    def asked(self, type_url: str) -> tuple[str, ...]:
        """The names that the client asked for, sorted; `*` is all there are."""
        subscription = self._subscriptions[type_url]
        return (*(("*",) if subscription.wildcard else ()), *sorted(subscription.names))

    @property
    def types(self) -> tuple[str, ...]:
        """The types the client subscribed to, in sending order."""
        return tuple(t for t in ORDER if t in self._subscriptions)

    def _pump(self) -> tuple[Push, ...]:
        pushes = []
        for type_url in self.types:
            if type_url in (ECDS, *_USERS) and (self._busy(_MAKERS) or self.waits):
                continue
            removals = type_url != ECDS and not (type_url in _MAKERS and self._trailing(_USERS))
            push = self._subscriptions[type_url].next(self._snapshot.get(type_url, {}), removals=removals)
            if push is not None:
                pushes.append(push)
                self._resend_endpoints(push)
        return tuple(pushes)

    def _resend_endpoints(self, push: Push) -> None:
        endpoints = self._subscriptions.get(EDS)
        if push.type_url == CDS and endpoints is not None:
            endpoints.resend(frozenset(frame.name for frame in push.frames))

    def _busy(self, types: tuple[str, ...]) -> bool:
        return any(self._subscriptions[t].outstanding(self._snapshot.get(t, {})) for t in types if t in self._subscriptions)

    def _trailing(self, types: tuple[str, ...]) -> bool:
        return any(self._subscriptions[t].trailing(self._snapshot.get(t, {})) for t in types if t in self._subscriptions)

    def _unasked_endpoints(self) -> bool:
        clusters, endpoints = self._subscriptions.get(CDS), self._subscriptions.get(EDS)
        if clusters is None or endpoints is None or endpoints.wildcard:
            return False
        desired = self._snapshot.get(EDS, {})
        if len(endpoints.wanted(desired)) == len(desired):
            return False
        return any(name in clusters.sent for name in desired.keys() - endpoints.names)
