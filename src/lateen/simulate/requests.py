"""Which virtual host and route take a request, in Envoy's order."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

import re2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2
from envoy.type.matcher.v3 import string_pb2

from lateen.simulate.call import Call

__all__ = ["find_host", "find_route", "targets_of"]

Host: TypeAlias = route_components_pb2.VirtualHost
Route: TypeAlias = route_components_pb2.Route
Match: TypeAlias = route_components_pb2.RouteMatch

_ANY = "*"


def find_host(routes: route_pb2.RouteConfiguration, host: str) -> Host | None:
    """By domain: exact, the longest that ends so, the longest that begins so, any."""
    name = host.lower()
    if routes.ignore_port_in_host_matching:
        name = _without_port(name)
    by_domain = {domain.lower(): one for one in routes.virtual_hosts for domain in one.domains}
    if name in by_domain:
        return by_domain[name]
    suffixes = [domain for domain in by_domain if domain.startswith(_ANY) and domain != _ANY and name.endswith(domain[1:])]
    prefixes = [domain for domain in by_domain if domain.endswith(_ANY) and domain != _ANY and name.startswith(domain[:-1])]
    best = max(suffixes, key=len, default="") or max(prefixes, key=len, default="") or _ANY
    return by_domain.get(best)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host


def find_route(host: Host, call: Call) -> Route | None:
    """The first route that takes the request."""
    return next((route for route in host.routes if _takes(route.match, call)), None)


def _takes(match: Match, call: Call) -> bool:
    if not _path(match, call.path):
        return False
    return not call.with_headers or (_headers(match, call) and _query(match, call.query))


def _path(match: Match, path: str) -> bool:
    kind = match.WhichOneof("path_specifier")
    folded = match.HasField("case_sensitive") and not match.case_sensitive.value

    def fold(text: str) -> str:
        return text.lower() if folded else text

    if kind == "prefix":
        return fold(path).startswith(fold(match.prefix))
    if kind == "path":
        return fold(path) == fold(match.path)
    if kind == "path_separated_prefix":
        prefix = fold(match.path_separated_prefix)
        return fold(path) == prefix or fold(path).startswith(f"{prefix}/")
    if kind == "safe_regex":
        return _regex(match.safe_regex.regex, path)
    if kind == "path_match_policy":
        template = uri_template_match_pb2.UriTemplateMatchConfig()
        match.path_match_policy.typed_config.Unpack(template)
        return _template(template.path_template, path)
    return False  # CONNECT is not among the calls


def _regex(pattern: str, text: str) -> bool:
    return re2.fullmatch(pattern, text) is not None


def _template(template: str, path: str) -> bool:
    """`*` or `{name}` is one segment, `**` or `{name=**}` the rest."""
    parts = []
    for segment in template.strip("/").split("/"):
        rest = segment == "**" or segment.endswith("=**}")
        one = segment == _ANY or segment.startswith("{")
        parts.append(".*" if rest else "[^/]+" if one else re2.escape(segment))
    return _regex("/" + "/".join(parts), path)


def _headers(match: Match, call: Call) -> bool:
    given: dict[str, str] = {name.lower(): value for name, value in call.headers}
    given |= {":method": call.method, ":authority": call.host, ":path": call.path}
    given |= {":scheme": "http" if call.tls == "plaintext" else "https"}
    return all(_header(one, given) for one in match.headers)


def _header(matcher: route_components_pb2.HeaderMatcher, given: Mapping[str, str]) -> bool:
    value = given.get(matcher.name.lower())
    if value is None and not matcher.treat_missing_header_as_empty:
        presence = matcher.WhichOneof("header_match_specifier") == "present_match"
        return presence and bool(matcher.present_match == matcher.invert_match)
    return _header_value(matcher, value or "") != bool(matcher.invert_match)


def _header_value(matcher: route_components_pb2.HeaderMatcher, value: str) -> bool:
    kind = matcher.WhichOneof("header_match_specifier")
    if kind == "string_match":
        return _string(matcher.string_match, value)
    if kind == "safe_regex_match":
        return _regex(matcher.safe_regex_match.regex, value)
    if kind == "present_match":
        return bool(matcher.present_match)
    simple = {"exact_match": value == matcher.exact_match, "prefix_match": value.startswith(matcher.prefix_match)}
    return bool(simple.get(kind or "", True))


def _string(matcher: string_pb2.StringMatcher, text: str) -> bool:
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return _regex(matcher.safe_regex.regex, text)
    value, pattern = (text.lower(), str(getattr(matcher, kind)).lower()) if matcher.ignore_case else (text, str(getattr(matcher, kind)))
    answers = {
        "exact": value == pattern,
        "prefix": value.startswith(pattern),
        "suffix": value.endswith(pattern),
        "contains": pattern in value,
    }
    return bool(answers[kind])


def _query(match: Match, query: str) -> bool:
    given = dict(reversed(parse_qsl(query, keep_blank_values=True)))  # the first of several counts

    def holds(one: route_components_pb2.QueryParameterMatcher) -> bool:
        value = given.get(one.name)
        if value is None:
            return one.WhichOneof("query_parameter_match_specifier") == "present_match" and not one.present_match
        if one.HasField("string_match"):
            return _string(one.string_match, value)
        return one.WhichOneof("query_parameter_match_specifier") != "present_match" or bool(one.present_match)

    return all(holds(one) for one in match.query_parameters)


def targets_of(route: Route) -> tuple[tuple[str, int], ...]:
    """The route's clusters with their weights."""
    if not route.HasField("route"):
        return ()
    if route.route.cluster:
        return ((route.route.cluster, 0),)
    return tuple(_weighted(route.route.weighted_clusters.clusters))


def _weighted(clusters: Iterable[route_components_pb2.WeightedCluster.ClusterWeight]) -> Iterable[tuple[str, int]]:
    return ((one.name, one.weight.value) for one in clusters)
