"""Two configurations compared by meaning, with one list of accepted differences.

What has no order becomes sorted (domains, virtual hosts, endpoints), the rest is compared as it is. A difference names its path and
both values. Must not accept anything that the list does not name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from msgspec import Struct, convert

__all__ = ["Accepted", "Difference", "accept", "compare", "normalise", "read_accepted", "report"]

Path = tuple[str, ...]
Side = Literal["istiod", "lateen", "both"]

# Lists without an order, by field: what an element is sorted by.
_UNORDERED: Mapping[str, tuple[str, ...]] = {
    "domains": (),
    "virtual_hosts": ("name",),
    "endpoints": ("priority", "locality"),
    "lb_endpoints": ("endpoint",),
    "match_subject_alt_names": (),
    "prefix_ranges": (),
    "server_names": (),
    "application_protocols": (),
    "response_headers_to_remove": (),
    "request_headers_to_remove": (),
    "custom_tags": ("tag",),
}


class Accepted(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One accepted difference: what is left out of a side before comparing. `where` is a path of patterns.

    A segment is a field's name, `*` (one level), `**` (any levels) or `field=value` (an element of a list that has this field).
    """

    id: str
    where: str
    side: Side
    why: str
    decision: str = ""


class Difference(NamedTuple):
    """`istiod` or `lateen` is None where that side has nothing."""

    path: Path
    istiod: Any
    lateen: Any


def read_accepted(raw: Sequence[Mapping[str, Any]]) -> tuple[Accepted, ...]:
    """The list as TOML's tables."""
    return tuple(convert(one, Accepted) for one in raw)


def normalise(value: Any, field: str = "") -> Any:  # noqa: ANN401 - JSON
    """A copy in which what has no order is sorted."""
    if isinstance(value, dict):
        return {key: normalise(one, key) for key, one in sorted(value.items())}
    if isinstance(value, list):
        items = [normalise(one) for one in value]
        return sorted(items, key=lambda one: _rank(one, _UNORDERED[field])) if field in _UNORDERED else items
    return value


def _rank(item: Any, fields: tuple[str, ...]) -> str:  # noqa: ANN401 - JSON
    return repr([item.get(name, "") for name in fields]) if fields and isinstance(item, dict) else repr(item)


def accept(value: Any, side: str, accepted: Iterable[Accepted], used: set[str], root: str = "") -> Any:  # noqa: ANN401 - JSON
    """A copy of `value` (found at `root`) without what the list accepts on `side`; ids that matched are added to `used`."""
    kept = value
    for one in accepted:
        if one.side in (side, "both"):
            segments = tuple(one.where.split("/"))
            head = segments[1:] if segments[0] == root else None
            if head is not None:
                kept, hit = _without(kept, head)
                if hit:
                    used.add(one.id)
    return kept


def _without(value: Any, segments: Path) -> tuple[Any, bool]:  # noqa: ANN401 - JSON
    if not segments:
        return value, False
    if not isinstance(value, (dict, list)):
        return value, False
    first, rest = segments[0], segments[1:]
    hit = False
    if first == "**":
        value, hit = _without(value, rest)
        rest = segments
    elif len(segments) == 1:
        return _removed(value, first)
    out: list[tuple[str, Any]] = []
    for key, child in _children(value):
        if first == "**" or _matches(first, key, child):
            kept, below = _without(child, rest)
            hit = hit or below
            out.append((key, kept))
        else:
            out.append((key, child))
    return (dict(out) if isinstance(value, dict) else [child for _, child in out]), hit


def _removed(value: Any, segment: str) -> tuple[Any, bool]:  # noqa: ANN401 - JSON
    children = list(_children(value))
    kept = [(key, child) for key, child in children if not _matches(segment, key, child)]
    copy = dict(kept) if isinstance(value, dict) else [child for _, child in kept]
    return copy, len(kept) != len(children)


def _children(value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        yield from value.items()
    else:
        for index, child in enumerate(value):
            yield str(index), child


def _matches(segment: str, key: str, child: Any) -> bool:  # noqa: ANN401 - JSON
    if segment == "*":
        return True
    field, equals, wanted = segment.partition("=")
    if not equals:
        return key == segment
    if field == "":  # "=text": an element that is this text
        return isinstance(child, str) and re.fullmatch(wanted, child) is not None
    return isinstance(child, dict) and re.fullmatch(wanted, str(child.get(field, ""))) is not None


def compare(istiod: Any, lateen: Any, path: Path = ()) -> list[Difference]:  # noqa: ANN401 - JSON
    """All differences of two normalised values; named elements of lists are told by name."""
    if isinstance(istiod, dict) and isinstance(lateen, dict):
        found: list[Difference] = []
        for key in sorted(istiod.keys() | lateen.keys()):
            found += compare(istiod.get(key), lateen.get(key), (*path, key))
        return found
    if isinstance(istiod, list) and isinstance(lateen, list):
        if len(istiod) != len(lateen):
            return [Difference(path, _labels(istiod), _labels(lateen))]
        return [one for index, (a, b) in enumerate(zip(istiod, lateen, strict=True)) for one in compare(a, b, (*path, _label(index, a, b)))]
    return [] if istiod == lateen and type(istiod) is type(lateen) else [Difference(path, istiod, lateen)]


def _label(index: int, a: Any, b: Any) -> str:  # noqa: ANN401 - JSON
    names = [str(one.get("name") or one.get("tag") or "") if isinstance(one, dict) else "" for one in (a, b)]
    return f"{index}:{names[0]}" if names[0] == names[1] and names[0] else str(index)


def _labels(items: list[Any]) -> Any:  # noqa: ANN401 - JSON
    if all(isinstance(one, dict) and "name" in one for one in items):
        return [one["name"] for one in items]
    return items


def report(differences: Sequence[Difference], limit: int = 25) -> str:
    """Readable lines, one difference each."""
    lines = [f"{'/'.join(one.path)}\n    istiod: {_short(one.istiod)}\n    lateen: {_short(one.lateen)}" for one in differences[:limit]]
    more = len(differences) - limit
    return "\n".join([f"{len(differences)} differences", *lines, *([f"... and {more} more"] if more > 0 else [])])


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = "(nothing)" if value is None else repr(value)
    return text if len(text) <= 600 else text[:600] + "..."
