"""Services and ServiceEntries: names of ports that say no protocol, addresses that are missing, two protocols on one port."""

from collections.abc import Iterable, Mapping

from lateen.analyze.mesh import exported_to, is_system
from lateen.analyze.objects import Finding, Item, Objects, listing, strings, text
from lateen.compile.protocols import protocol_of
from lateen.model.service import Protocol

__all__ = ["check_entry_addresses", "check_entry_protocols", "check_port_names"]


def check_port_names(objects: Objects) -> Iterable[Finding]:
    """A port's name begins with its protocol, or `appProtocol` says it; otherwise the protocol is guessed from the first bytes."""
    for service in objects.of("Service"):
        if is_system(service.namespace) or service.labels.get("istio") == "pilot" or service.labels.get("app") == "istiod":
            continue
        outside = text(service.spec, "type") == "ExternalName"
        for index, port in enumerate(listing(service.spec, "ports")):
            named = _says(port)
            path = ("spec", "ports", index)
            if outside and (not named or text(port, "name") == "tcp"):
                yield Finding(code="IST0150", item=service, path=path)
            elif not named:
                args = (text(port, "name"), text(port, "port"), text(port, "targetPort"))
                yield Finding(code="IST0118", item=service, args=args, path=path)


def _says(port: Mapping[str, object]) -> bool:
    number = text(port, "port")
    found = protocol_of(
        text(port, "name"), text(port, "appProtocol") or None, int(number) if number.isdigit() else 0, text(port, "protocol") or "TCP"
    )
    return found != Protocol.AUTO


def check_entry_addresses(objects: Objects) -> Iterable[Finding]:
    """TCP carries no name, so an entry is told apart by its address; one that was given an address automatically has one."""
    metadata = objects.mesh.default_config.proxy_metadata
    automatic = metadata.get("ISTIO_META_DNS_AUTO_ALLOCATE") == "true" and metadata.get("ISTIO_META_DNS_CAPTURE") == "true"
    for entry in objects.of("ServiceEntry"):
        if entry.spec.get("addresses") or listing(entry.json, "status", "addresses") or automatic:
            continue
        for index, port in enumerate(listing(entry.spec, "ports")):
            if text(port, "protocol").upper() in {"", Protocol.TCP.value}:
                yield Finding(code="IST0134", item=entry, path=("spec", "ports", index))


def check_entry_protocols(objects: Objects) -> Iterable[Finding]:
    """One host and port with two protocols, seen in one namespace: which counts depends on the entries' age."""
    entries = list(objects.of("ServiceEntry"))
    for entry in entries:
        for index, port in enumerate(listing(entry.spec, "ports")):
            number, protocol = text(port, "number"), text(port, "protocol").upper()
            for host in strings(entry.spec, "hosts"):
                rivals = [
                    other for other in entries if other is not entry and _share(entry, other) and _other(other, host, number, protocol)
                ]
                if rivals:
                    names = sorted(str(each) for each in (entry, *rivals))
                    protocols = sorted({protocol, *(each for other in rivals for each in _protocols(other, number))})
                    yield Finding(code="IST0177", item=entry, args=(names, host, number, protocols), path=("spec", "ports", index))


def _share(left: Item, right: Item) -> bool:
    ours, theirs = (exported_to(strings(each.spec, "exportTo"), each.namespace) for each in (left, right))
    return "*" in ours or "*" in theirs or bool(ours & theirs)


def _protocols(entry: Item, number: str) -> list[str]:
    return [text(port, "protocol").upper() for port in listing(entry.spec, "ports") if text(port, "number") == number]


def _other(entry: Item, host: str, number: str, protocol: str) -> bool:
    return host in strings(entry.spec, "hosts") and any(each != protocol for each in _protocols(entry, number))
