"""Rules of a VirtualService that nothing reaches, because a rule before them takes all they would. Warnings only."""

from collections.abc import Sequence

import msgspec

from lateen.api.validate.report import Report
from lateen.api.virtualservice import HTTPMatchRequest, HTTPRoute, TCPRoute, TLSRoute

__all__ = ["check_reached"]

_UNREACHED, _NO_EFFECT = "IST0130", "IST0131"
Routes = Sequence[HTTPRoute | TLSRoute | TCPRoute]


def check_reached(report: Report, routes: Routes) -> None:
    """`report` is at the list of rules."""
    first: dict[object, int] = {}
    everything: int | None = None
    prefixes: list[tuple[int, HTTPMatchRequest, str]] = []
    for index, route in enumerate(routes):
        where = report.at(index)
        if everything is not None:
            where.warn(
                f"rule {everything} has no match and takes everything, so this one is never reached: only the last can have no matches",
                _UNREACHED,
            )
            continue
        if not route.match:
            everything = index
            continue
        known = [_bare(match) in first for match in route.match]
        if all(known):
            where.warn("never reached: all its matches are used by prior rules", _UNREACHED)
        for number, (match, again) in enumerate(zip(route.match, known, strict=True)):
            bare = _bare(match)
            if again:
                where.at("match", number).warn(f"rule {first[bare]} has the same match, so this one has no effect", _NO_EFFECT)
                continue
            first[bare] = index
            if isinstance(match, HTTPMatchRequest):
                _prefix(where.at("match", number), match, index, prefixes)


def _prefix(report: Report, match: HTTPMatchRequest, index: int, earlier: list[tuple[int, HTTPMatchRequest, str]]) -> None:
    """A prefix below one that an earlier match has taken already, with no condition that this one has not."""
    path = match.uri.prefix if match.uri is not None else None
    for rule, other, prefix in earlier:
        if path is not None and path.startswith(prefix) and path != prefix and _covers(other, match):
            what = f'rule {rule} takes everything below "{prefix}", so this match has no effect; write the longer path first'
            report.warn(what, _NO_EFFECT)
            break
    if path is not None:
        earlier.append((index, match, path))


def _covers(match: HTTPMatchRequest, narrower: HTTPMatchRequest) -> bool:
    """Whether `match`, its path apart, asks for nothing that the other does not ask for too."""
    nothing = HTTPMatchRequest()
    return all(
        getattr(match, field) in (getattr(nothing, field), getattr(narrower, field))
        for field in HTTPMatchRequest.__struct_fields__
        if field not in {"uri", "name", "stat_prefix"}
    )


def _bare(match: object) -> bytes:
    """The match without its name: two that differ in it only are the same."""
    if isinstance(match, HTTPMatchRequest):
        match = msgspec.structs.replace(match, name="", stat_prefix="")
    return msgspec.json.encode(match, order="sorted")
