"""HTTP match blocks: which of them apply to a proxy, and what they ask of a request.

Port, gateways, source labels and source namespace are decided here, at compile time; the rest becomes a `MatchPlan`.
"""

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from lateen.api.virtualservice import HTTPMatchRequest, StringMatch
from lateen.model.route import MESH
from lateen.model.routeplan import ClaimMatchPlan, HeaderMatchPlan, MatchPlan, QueryMatchPlan, TextMatch
from lateen.model.scope import Selector
from lateen.util.selectors import canonical

__all__ = ["Place", "applies", "plan_match"]

_CLAIMS = "@request.auth.claims"
_CLAIM = re.compile(r"\[([^\]]+)\]")
_ANY = TextMatch("prefix", "/")


class Place(Struct, frozen=True, kw_only=True):
    """Where routes are compiled for: a listener port and the proxies that share it.

    `gateways` are the names that mean this place ("mesh", or "namespace/name" of Gateways); `selectors` those that match.
    """

    port: int
    gateways: frozenset[str] = frozenset({MESH})
    namespace: str = ""
    selectors: tuple[Selector, ...] = ()
    tls: bool = False

    def selected(self, labels: Mapping[str, str]) -> bool:
        """Whether the proxies carry all `labels`; their own labels are known only through the selectors in use."""
        return not labels or canonical(labels) in self.selectors


def applies(match: HTTPMatchRequest, place: Place) -> bool:
    """Whether the block is meant for this place. Where it names gateways, source labels are not looked at (as Istio)."""
    if match.port and match.port != place.port:
        return False
    if match.gateways:
        return not place.gateways.isdisjoint(match.gateways)
    if not place.selected(match.source_labels):
        return False
    return not match.source_namespace or match.source_namespace == place.namespace


def plan_match(match: HTTPMatchRequest) -> MatchPlan:
    """What the block asks of a request."""
    return MatchPlan(
        path=_path(match.uri),
        case_sensitive=not match.ignore_uri_case,
        headers=(
            *sorted(_named_headers(match), key=lambda header: header.name),
            *_pseudo_headers(match),
        ),
        claims=tuple(_claims(match)),
        queries=tuple(QueryMatchPlan(name, _text(match.query_params[name])) for name in sorted(match.query_params)),
    )


def _named_headers(match: HTTPMatchRequest) -> Iterable[HeaderMatchPlan]:
    for headers, invert in ((match.headers, False), (match.without_headers, True)):
        for name, text in headers.items():
            if not name.lower().startswith(_CLAIMS):
                yield HeaderMatchPlan(name=name, match=_text(text), invert=invert)


def _claims(match: HTTPMatchRequest) -> Iterable[ClaimMatchPlan]:
    """`@request.auth.claims.a.b`, or `[a][b]` where a claim has dots: asked of the token, which only a gateway has checked."""
    for headers, invert in ((match.headers, False), (match.without_headers, True)):
        for name, text in sorted(headers.items()):
            if name.lower().startswith(_CLAIMS):
                rest = name[len(_CLAIMS) :]
                path = tuple(_CLAIM.findall(rest)) if rest.startswith("[") else tuple(rest.removeprefix(".").split("."))
                yield ClaimMatchPlan(path=path, match=_text(text), invert=invert)


def _pseudo_headers(match: HTTPMatchRequest) -> tuple[HeaderMatchPlan, ...]:
    pairs = ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme))
    return tuple(HeaderMatchPlan(name=name, match=_text(text)) for name, text in pairs if text is not None)


def _path(uri: StringMatch | None) -> TextMatch:
    text = _text(uri) if uri is not None else _ANY
    return _ANY if text.kind == "present" else text


def _text(text: StringMatch) -> TextMatch:
    """Nothing given and the regex `*` mean "is present"; so do an empty prefix and regex, which Envoy refuses. `exact: ""` is empty."""
    if text.exact is not None:
        return TextMatch("exact", text.exact)
    if text.prefix:
        return TextMatch("prefix", text.prefix)
    if text.regex and text.regex != "*":
        return TextMatch("regex", text.regex)
    return TextMatch("present")
