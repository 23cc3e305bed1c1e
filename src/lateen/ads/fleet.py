"""Who is connected, and what each holds: the facts behind `lateen status`, `syncz` and "Programmed n of m".

Must not hold connections: a stream is known here by its proxy's id only.
"""

from msgspec import Struct

from lateen.ads.messages import ORDER, Nack
from lateen.ads.stream import Stream
from lateen.model.scope import Proxy

__all__ = ["Fleet", "ProxyStatus"]


class ProxyStatus(Struct, frozen=True, kw_only=True):
    """One proxy's state by type: "SYNCED", "STALE" (sent or due, not answered), "REJECTED" or "NOT SENT"."""

    proxy: Proxy
    types: tuple[tuple[str, str], ...]
    nacks: tuple[Nack, ...]


class Fleet:
    """The connected proxies and their streams; a reconnecting proxy replaces its older stream."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[Proxy, Stream]] = {}

    def join(self, proxy: Proxy, stream: Stream) -> None:
        self._streams[proxy.id] = (proxy, stream)

    def leave(self, proxy: Proxy, stream: Stream) -> bool:
        """Forget the stream; False when a newer stream of the same proxy has taken its place."""
        current = self._streams.get(proxy.id)
        if current is None or current[1] is not stream:
            return False
        del self._streams[proxy.id]
        return True

    def streams(self) -> tuple[Stream, ...]:
        """The newest stream of every proxy."""
        return tuple(stream for _, stream in self._streams.values())

    def status(self) -> tuple[ProxyStatus, ...]:
        """All connected proxies, sorted by id."""
        return tuple(_status(*self._streams[proxy_id]) for proxy_id in sorted(self._streams))


def _status(proxy: Proxy, stream: Stream) -> ProxyStatus:
    types = tuple((type_url, _state(stream, type_url)) for type_url in ORDER)
    return ProxyStatus(proxy=proxy, types=types, nacks=tuple(stream.nacks[t] for t in sorted(stream.nacks)))


def _state(stream: Stream, type_url: str) -> str:
    if type_url not in stream.types:
        return "NOT SENT"
    if type_url in stream.nacks:
        return "REJECTED"
    return "SYNCED" if stream.synced(type_url) else "STALE"
