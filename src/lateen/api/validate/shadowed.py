"""Rules of a VirtualService that nothing reaches, because a rule before them takes all they would. Warnings only."""

from collections.abc import Sequence

import msgspec

from lateen.api.validate.report import Report
from lateen.api.virtualservice import HTTPMatchRequest, HTTPRoute, TCPRoute, TLSRoute

__all__ = ["check_reached"]

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
                f"rule {everything} has no match and takes everything, so this one is never reached: only the last rule can have no matches"
            )
            continue
        if not route.match:
            everything = index
            continue
        known = [_bare(match) in first for match in route.match]
        if all(known):
            where.warn("never reached: all its matches are used by prior rules")
        for number, (match, again) in enumerate(zip(route.match, known, strict=True)):
            bare = _bare(match)
            if again:
                where.at("match", number).warn(f"rule {first[bare]} has the same match, so this one has no effect")
                continue
            first[bare] = index
            if isinstance(match, HTTPMatchRequest):
                _prefix(where.at("match", number), match, index, prefixes)


def _prefix(report: Report, match: HTTPMatchRequest, index: int, earlier: list[tuple[int, HTTPMatchRequest, str]]) -> None:
    """A path below a prefix that an earlier match without any other condition has taken already."""
    path = match.uri.prefix or match.uri.exact if match.uri is not None else None
    for rule, other, prefix in earlier:
        if path is not None and path.startswith(prefix) and _only_path(other, match):
            report.warn(f'rule {rule} takes everything below "{prefix}", so this match has no effect; write the longer path first')
            break
    if match.uri is not None and match.uri.prefix is not None:
        earlier.append((index, match, match.uri.prefix))


def _only_path(match: HTTPMatchRequest, narrower: HTTPMatchRequest) -> bool:
    """Whether `match` asks for its path, and beyond that nothing that the other does not ask for too."""
    same = {field: getattr(narrower, field) for field in ("port", "gateways", "source_labels", "source_namespace")}
    return any(
        msgspec.structs.replace(match, uri=None, name="", stat_prefix="") == wanted
        for wanted in (HTTPMatchRequest(), HTTPMatchRequest(**same))
    )


def _bare(match: object) -> bytes:
    """The match without its name: two that differ in it only are the same."""
    if isinstance(match, HTTPMatchRequest):
        match = msgspec.structs.replace(match, name="", stat_prefix="")
    return msgspec.json.encode(match, order="sorted")
