"""Changes of one thing as a whole, and of a list whose entries have names: filters, and with another test of entries, routes.

Where a change names no entry, before means first and after means last, as in Istio.
"""

from collections.abc import Callable, Iterable, MutableSequence
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from lateen.model.frame import Owner
from lateen.xds.patches.merge import merge
from lateen.xds.patches.parse import Ready

__all__ = ["Used", "change_list", "change_whole", "named", "used"]

M = TypeVar("M", bound=Message)
Used = set[tuple[Owner, int]]  # owner and index of changes that found their place


def used(ready: Ready, found: Used) -> None:
    """Note that the change found its place."""
    found.add((ready.owner, ready.patch.index))


def change_whole(
    one: Message,
    changes: Iterable[Ready],
    matches: Callable[[Ready], bool],
    found: Used,
    merge_in: Callable[[Ready], None] | None = None,
    *,
    replaces: bool = False,
) -> bool:
    """Make the changes whose operation is for a thing as a whole; whether it is to stay. `replaces`: another may be put in its place."""
    for ready in changes:
        operation = ready.patch.operation
        if not (ready.merges or operation == "REMOVE" or (replaces and operation == "REPLACE")) or not matches(ready):
            continue
        used(ready, found)
        if operation == "REMOVE":
            return False
        if not ready.merges:
            one.CopyFrom(ready.value)
        elif merge_in is not None:
            merge_in(ready)
        else:
            merge(one, ready.value, replace_lists=ready.replaces_lists)
    return True


class _Named(Protocol):
    name: str


def named(name: str | None) -> Callable[[_Named], bool] | None:
    """The test of entries for a name; None where no entry is named."""
    return None if name is None else lambda entry: entry.name == name


def change_list(
    entries: MutableSequence[M],
    ready: Ready,
    matches: Callable[[M], bool] | None,
    found: Used,
    absent: int | None = None,
) -> None:
    """Insert, replace or remove; `matches` is None where the change names no entry, `absent` says where one would be that is not there."""
    operation, value = ready.patch.operation, ready.value
    places = [index for index, entry in enumerate(entries) if matches(entry)] if matches is not None else []
    place = places[0] if places else None
    at: int | None = None
    if operation == "ADD" or (operation == "INSERT_AFTER" and matches is None):
        at = len(entries)
    elif operation == "INSERT_FIRST" or (operation == "INSERT_BEFORE" and matches is None):
        at = 0
    elif operation == "INSERT_BEFORE":
        at = place if place is not None else absent
    elif operation == "INSERT_AFTER":
        at = place + 1 if place is not None else absent
    elif operation == "REPLACE" and place is not None:
        del entries[place]
        at = place
    elif operation == "REMOVE" and places:
        for index in reversed(places):
            del entries[index]
        used(ready, found)
    if at is not None:
        entries.insert(at, value)  # type: ignore[arg-type]  # a change's value is of its list's type
        used(ready, found)
