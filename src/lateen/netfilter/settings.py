"""What is to be intercepted, as Istio's flags and pod annotations say it.

Why: the rules are made from one frozen value, whoever gives it: defaults, annotations of a pod, or a test.
Must not look at the machine: users, groups and name servers are given.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct, structs

from lateen.util.ipnets import is_ipv6, parse

__all__ = ["Settings", "from_annotations"]


class Settings(Struct, frozen=True, kw_only=True):
    """Istio's istio-iptables flags; `("*",)` is everything, `()` nothing."""

    proxy_port: int = 15001
    inbound_port: int = 15006
    tunnel_port: int = 15008
    dns_port: int = 15053
    uids: tuple[str, ...] = ("1337",)
    gids: tuple[str, ...] = ("1337",)
    mode: Literal["REDIRECT", "TPROXY"] = "REDIRECT"
    tproxy_mark: int = 1337
    tproxy_table: int = 133
    inbound_ports: tuple[str, ...] = ("*",)
    excluded_inbound_ports: tuple[str, ...] = ("15090", "15021", "15020")
    outbound_ranges: tuple[str, ...] = ("*",)
    excluded_outbound_ranges: tuple[str, ...] = ()
    outbound_ports: tuple[str, ...] = ()
    excluded_outbound_ports: tuple[str, ...] = ()
    rerouted_interfaces: tuple[str, ...] = ()
    excluded_interfaces: tuple[str, ...] = ()
    owner_groups: tuple[str, ...] = ("*",)
    excluded_owner_groups: tuple[str, ...] = ()
    loopback: str = "127.0.0.1/32"
    redirect_dns: bool = False
    capture_all_dns: bool = False
    dns_servers: tuple[str, ...] = ()
    drop_invalid: bool = False

    @property
    def captures_dns(self) -> bool:
        """Whether any name server's traffic goes to the proxy."""
        return self.redirect_dns and (self.capture_all_dns or bool(self.dns_servers))


def _port(text: str) -> str:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"{text!r} is not a port from 1 to 65535")
    return str(int(text))


def _range(text: str) -> str:
    return str(parse(text))


def _interface(text: str) -> str:
    if not 0 < len(text) < 16 or "/" in text or '"' in text or any(each.isspace() for each in text):
        raise ValueError(f"{text!r} is not the name of a network interface")
    return text


_TRAFFIC = "traffic.sidecar.istio.io/"
# annotation -> (setting, reader of one entry, whether * stands for everything)
_LISTS: dict[str, tuple[str, Callable[[str], str], bool]] = {
    _TRAFFIC + "includeInboundPorts": ("inbound_ports", _port, True),
    _TRAFFIC + "excludeInboundPorts": ("excluded_inbound_ports", _port, False),
    _TRAFFIC + "includeOutboundPorts": ("outbound_ports", _port, False),
    _TRAFFIC + "excludeOutboundPorts": ("excluded_outbound_ports", _port, False),
    _TRAFFIC + "includeOutboundIPRanges": ("outbound_ranges", _range, True),
    _TRAFFIC + "excludeOutboundIPRanges": ("excluded_outbound_ranges", _range, False),
    _TRAFFIC + "excludeInterfaces": ("excluded_interfaces", _interface, False),
    _TRAFFIC + "kubevirtInterfaces": ("rerouted_interfaces", _interface, False),
    "istio.io/reroute-virtual-interfaces": ("rerouted_interfaces", _interface, False),
}
_MODE = "sidecar.istio.io/interceptionMode"


def from_annotations(annotations: Mapping[str, str], base: Settings) -> tuple[Settings, tuple[str, ...]]:
    """`base` as a pod's annotations change it, and a sentence for each annotation that cannot be understood (and is left out)."""
    changes: dict[str, object] = {}
    problems: list[str] = []
    for annotation, (field, read, star) in _LISTS.items():
        if annotation not in annotations:
            continue
        words = [word.strip() for word in annotations[annotation].split(",") if word.strip()]
        try:
            changes[field] = ("*",) if star and words == ["*"] else tuple(map(read, words))
        except ValueError as error:
            problems.append(f"Annotation {annotation}: {error}; the annotation is ignored.")
    excluded = changes.get("excluded_inbound_ports")
    if isinstance(excluded, tuple):  # the sidecar's own ports stay reachable
        changes["excluded_inbound_ports"] = tuple(dict.fromkeys((*base.excluded_inbound_ports, *excluded)))
    mode = annotations.get(_MODE)
    if mode in {"REDIRECT", "TPROXY"}:
        changes["mode"] = mode
    elif mode is not None:
        problems.append(f"Annotation {_MODE}: {mode!r} is neither REDIRECT nor TPROXY; the annotation is ignored.")
    return structs.replace(base, **changes), tuple(problems)


def of_family(values: tuple[str, ...], family: int) -> tuple[str, ...]:
    """The ranges or addresses of one IP version."""
    return tuple(value for value in values if is_ipv6(value.partition("/")[0]) == (family == 6))
