"""Virtual addresses of Services.

Why: each Service gets an address of the range that the caller gives; a name starts its search at a place of its own, so that a
Service that is deleted and made again usually keeps its address. The range's first address is kept for the API itself.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from lateen.kube.errors import Cause
from lateen.kube.records import JsonObject, Ref, dicts, section

__all__ = ["allocate", "check_service", "check_unchanged"]


_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")


def check_service(obj: Mapping[str, object]) -> Iterator[Cause]:
    """What is wrong with a Service's type and ports."""
    spec = section(obj, "spec")
    ports = dicts(spec.get("ports"))
    for index, port in enumerate(ports):
        yield from _check_port(f"spec.ports[{index}]", port, named=len(ports) > 1)
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield Cause("FieldValueRequired", "spec.ports", "Required value")
    if spec.get("type") not in _TYPES:
        yield _unsupported("spec.type", spec.get("type"), _TYPES)


def _check_port(field: str, port: Mapping[str, object], *, named: bool) -> Iterator[Cause]:
    if named and not port.get("name"):
        yield Cause("FieldValueRequired", f"{field}.name", "Required value")
    for name in ("port", "targetPort"):
        number = port.get(name, 0 if name == "port" else None)
        if isinstance(number, int) and not 0 < number < 1 << 16:
            text = f"Invalid value: {number}: must be between 1 and 65535, inclusive"
            yield Cause("FieldValueInvalid", f"{field}.{name}", text)
        if name == "port" and port.get("protocol") not in _PROTOCOLS:
            yield _unsupported(f"{field}.protocol", port.get("protocol"), _PROTOCOLS)


def _unsupported(field: str, value: object, supported: Sequence[str]) -> Cause:
    listed = ", ".join(f'"{each}"' for each in supported)
    return Cause("FieldValueNotSupported", field, f'Unsupported value: "{value!s:.60}": supported values: {listed}')


def allocate(network: IPv4Network, ref: Ref, obj: JsonObject, taken: Collection[str]) -> Cause | None:
    """Give the Service its clusterIP; a Cause when the asked address cannot be had or none is left."""
    spec = section(obj, "spec")
    if spec.get("type") == "ExternalName":
        return None
    asked = spec.get("clusterIP")
    if asked == "None":
        spec["clusterIPs"] = ["None"]
        return None
    if asked:
        problem = _asked(network, str(asked), taken)
        if problem is None:
            spec["clusterIPs"] = [asked]
        return problem
    found = _search(network, ref, taken)
    if found is None:
        return Cause(
            "FieldValueInvalid",
            "spec.clusterIPs",
            f"Invalid value: []: no address is left in {network}; delete a Service or widen the range",
        )
    spec["clusterIP"] = found
    spec["clusterIPs"] = [found]
    return None


def _asked(network: IPv4Network, asked: str, taken: Collection[str]) -> Cause | None:
    start = f'Invalid value: ["{asked}"]: failed to allocate IP {asked}:'
    try:
        address = IPv4Address(asked)
    except ValueError:
        return Cause("FieldValueInvalid", "spec.clusterIPs[0]", f'Invalid value: "{asked}": must be a valid IP address, (e.g. 10.9.8.7)')
    if address not in network:
        return Cause("FieldValueInvalid", "spec.clusterIPs", f"{start} the provided network does not match the current range {network}")
    if asked in taken or address in _reserved(network):
        return Cause("FieldValueInvalid", "spec.clusterIPs", f"{start} provided IP is already allocated")
    return None


def _reserved(network: IPv4Network) -> tuple[IPv4Address, ...]:
    return network[0], network[1], network[-1]


def _search(network: IPv4Network, ref: Ref, taken: Collection[str]) -> str | None:
    size = network.num_addresses
    start = zlib.crc32(f"{ref.namespace}/{ref.name}".encode())
    reserved = _reserved(network)
    for step in range(size):
        address = network[(start + step) % size]
        if address not in reserved and str(address) not in taken:
            return str(address)
    return None


def check_unchanged(old: Mapping[str, object], new: JsonObject) -> Cause | None:
    """An update keeps the address it does not name, and may not change it."""
    before, after = section(old, "spec"), section(new, "spec")
    if after.get("type") == "ExternalName" or before.get("type") == "ExternalName":
        return None
    for name in ("clusterIP", "clusterIPs"):
        if name in before and not after.get(name):
            after[name] = before[name]
    if before.get("clusterIP") != after.get("clusterIP"):
        shown = f'["{after.get("clusterIP")}"]'
        return Cause("FieldValueInvalid", "spec.clusterIPs[0]", f"Invalid value: {shown}: may not change once set")
    return None
