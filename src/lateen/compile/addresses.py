"""Addresses for ServiceEntries that have none, so that a name asked over DNS leads to a listener of its own.

The address follows from the service's key alone unless two keys fall together, and is the one that Istio gives: replicas agree without
speaking to each other, and a service keeps its address when others come and go. Must not know who resolves names.
"""

from collections.abc import Iterable, Mapping

from lateen.model.service import Resolution, Service, ServiceKey

__all__ = ["AUTO_ALLOCATE", "automatic_addresses", "wants_address"]

AUTO_ALLOCATE = "networking.istio.io/enable-autoallocate-ip"
_NETWORK = "240.240"
_SLOTS = 256 * 254
_PRIME = 65011  # below the number of slots
_ROW = 255  # the last byte is 1 to 254


def wants_address(service: Service) -> bool:
    """Not where the application must know the real address (NONE), nor for a name that stands for many."""
    refused = (value.lower() == "false" for label, value in service.labels if label == AUTO_ALLOCATE)
    many = service.resolution == Resolution.NONE or service.hostname.startswith("*")
    return not service.addresses and not many and not any(refused)


def automatic_addresses(keys: Iterable[ServiceKey]) -> Mapping[ServiceKey, str]:
    """The address of each key; `keys` come oldest first, once for each object that declares the service."""
    slots: dict[int, ServiceKey] = {}
    for key in keys:
        if len(slots) == _SLOTS - 1:
            break
        slots[_free_slot(_hash(f"{key.namespace}/{key.hostname}"), slots)] = key
    found: dict[ServiceKey, str] = {}
    skipped = 1
    for slot in sorted(slots):
        if (slot + skipped) % _ROW == 0:
            skipped += 1
        row, column = divmod(slot + skipped, _ROW)
        found.setdefault(slots[slot], f"{_NETWORK}.{row}.{column}")
    return found


def _free_slot(number: int, taken: Mapping[int, object]) -> int:
    slot, step, tries = number % _SLOTS, _PRIME - number % _PRIME, 0
    while slot in taken:
        tries += 1
        slot = (number + tries * step) % (_SLOTS - 1)
    return slot


def _hash(text: str) -> int:
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
