"""The names of the mesh and their addresses, as one sidecar's applications may write them.

One table serves all sidecars that see the same services: a short name is resolved with the asker's namespace when it is asked for,
instead of being spelled out per namespace. Names are lower case and end with a dot. Must not know DNS's wire format.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

__all__ = ["Addresses", "Client", "Found", "NameEntry", "NameTable", "alternate_names"]

_KUBERNETES = "Kubernetes"
_MOST_LABELS = 127


class NameEntry(Struct, frozen=True, kw_only=True):
    """A host of the mesh. Only those of the Kubernetes registry have a namespace and a short name (`reviews`, `pod-0.reviews`)."""

    host: str
    ips: tuple[str, ...]
    registry: str = _KUBERNETES
    namespace: str = ""
    shortname: str = ""
    alt_hosts: tuple[str, ...] = ()


class Addresses(Struct, frozen=True):
    """A name's addresses by family."""

    v4: tuple[IPv4Address, ...]
    v6: tuple[IPv6Address, ...]


class Client(Struct, frozen=True):
    """Who asks: its namespace, and the first search domain of its resolv.conf (`default.svc.cluster.local`), or ""."""

    namespace: str
    search_domain: str = ""


class Found(Struct, frozen=True):
    """What a name means: `owner` is the name that the addresses stand under; `alias_of` is set when it came by the search domain."""

    owner: str
    addresses: Addresses
    alias_of: str = ""


class NameTable:
    """Look-up by name; made once, never changed."""

    def __init__(self, names: Mapping[str, Addresses], shorts: Mapping[str, Addresses], domain: str) -> None:
        self._names = names
        self._shorts = shorts
        self._domain = f".{domain}."

    @classmethod
    def build(cls, entries: Iterable[NameEntry], *, domain: str = "svc.cluster.local") -> "NameTable":
        """The table of all entries that have addresses. `domain` is the cluster's; hosts of another have no short names.

        A host's own name wins over a short name that is spelled alike; among equals the first entry wins.
        """
        names: dict[str, Addresses] = {}
        generated: dict[str, Addresses] = {}
        shorts: dict[str, Addresses] = {}
        for entry in entries:
            if not entry.ips:
                continue
            addresses = _addresses(entry.ips)
            for host in (entry.host, *entry.alt_hosts):
                names.setdefault(_dotted(host), addresses)
                for name in _qualified(entry, host, domain):
                    generated.setdefault(name, addresses)
                if _is_local(entry, host, domain):
                    shorts.setdefault(f"{entry.shortname}.{entry.namespace}.".lower(), addresses)
        return cls({**generated, **names}, shorts, domain)

    def look_up(self, name: str, client: Client) -> Found | None:
        """What `name` (lower case, with its last dot) means to `client`; None when the mesh does not know it."""
        found = self._exact(name, client, name)
        labels = name.split(".", _MOST_LABELS)
        for at in range(1, len(labels) - 1):
            if found is not None:
                break
            found = self._exact(".".join(("*", *labels[at:])), client, name)
        return found

    def hosts(self) -> Iterator[tuple[str, Addresses]]:
        """Every name and its addresses, without the short ones that depend on the asker."""
        yield from sorted(self._names.items())

    def _exact(self, name: str, client: Client, asked: str) -> Found | None:
        addresses = self._known(name, client)
        if addresses is not None:
            return Found(asked, addresses)
        suffix = f".{client.search_domain}."
        if not client.search_domain or not name.endswith(suffix):
            return None
        bare = name.removesuffix(suffix) + "."
        if bare.endswith(self._domain):  # a full name: resolvers that append a search domain to it go on without
            return None
        addresses = self._known(bare, client)
        return None if addresses is None else Found(bare, addresses, alias_of=asked)

    def _known(self, name: str, client: Client) -> Addresses | None:
        return self._names.get(name) or self._shorts.get(f"{name}{client.namespace}.")


def alternate_names(entry: NameEntry, client_namespace: str, *, domain: str = "svc.cluster.local") -> frozenset[str]:
    """Every name that an application in `client_namespace` may write for the entry, search domains aside."""
    names = set()
    for host in (entry.host, *entry.alt_hosts):
        names |= {_dotted(host), *_qualified(entry, host, domain)}
        if _is_local(entry, host, domain) and entry.namespace == client_namespace:
            names.add(f"{entry.shortname}.".lower())
    return frozenset(names)


def _is_local(entry: NameEntry, host: str, domain: str) -> bool:
    return entry.registry == _KUBERNETES and bool(entry.shortname) and _dotted(host).endswith(f".{domain}.")


def _qualified(entry: NameEntry, host: str, domain: str) -> tuple[str, ...]:
    """`reviews.default.` and `reviews.default.svc.`"""
    if not _is_local(entry, host, domain):
        return ()
    name = f"{entry.shortname}.{entry.namespace}.".lower()
    return name, f"{name}{domain.split('.', 1)[0]}."


def _dotted(host: str) -> str:
    return host.lower().removesuffix(".") + "."


def _addresses(texts: Iterable[str]) -> Addresses:
    parsed = [ip_address(text) for text in texts]
    return Addresses(
        v4=tuple(each for each in parsed if isinstance(each, IPv4Address)),
        v6=tuple(each for each in parsed if isinstance(each, IPv6Address)),
    )
