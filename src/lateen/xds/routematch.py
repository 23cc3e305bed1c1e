"""Prints what a route asks of a request."""

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.type.matcher.v3 import metadata_pb2, string_pb2, value_pb2

from lateen.model.authz import CLAIMS, TOKENS
from lateen.model.routeplan import ClaimMatchPlan, HeaderMatchPlan, MatchPlan, QueryMatchPlan, TextMatch

__all__ = ["build_match", "string_matcher"]


def build_match(plan: MatchPlan) -> pb.RouteMatch:
    """The conditions of one route."""
    match = pb.RouteMatch(headers=[_header(header) for header in plan.headers], query_parameters=[_query(query) for query in plan.queries])
    match.dynamic_metadata.extend(_claim(claim) for claim in plan.claims)
    _set_path(match, plan.path)
    if plan.case_sensitive is not None:
        match.case_sensitive.value = plan.case_sensitive
    return match


def string_matcher(text: TextMatch) -> string_pb2.StringMatcher:
    """An exact, prefix or regex matcher (`present` has none)."""
    matcher = string_pb2.StringMatcher()
    if text.kind == "regex":
        matcher.safe_regex.regex = text.value
    else:
        setattr(matcher, text.kind, text.value)
    return matcher


def _set_path(match: pb.RouteMatch, path: TextMatch) -> None:
    if path.kind == "regex":
        match.safe_regex.regex = path.value
    elif path.kind == "exact":
        match.path = path.value
    else:
        match.prefix = path.value


def _header(plan: HeaderMatchPlan) -> pb.HeaderMatcher:
    header = pb.HeaderMatcher(name=plan.name, invert_match=plan.invert)
    if plan.match.kind == "present":
        header.present_match = True
        return header
    header.string_match.CopyFrom(string_matcher(plan.match))
    header.treat_missing_header_as_empty = plan.invert
    return header


def _claim(plan: ClaimMatchPlan) -> metadata_pb2.MetadataMatcher:
    matcher = metadata_pb2.MetadataMatcher(filter=TOKENS, invert=plan.invert)
    for key in (CLAIMS, *plan.path):
        matcher.path.add(key=key)
    value = value_pb2.ValueMatcher()
    if plan.match.kind == "present":
        value.present_match = True
    else:
        value.string_match.CopyFrom(string_matcher(plan.match))
    in_list = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=value))
    matcher.value.or_match.value_matchers.extend([value, in_list])
    return matcher


def _query(plan: QueryMatchPlan) -> pb.QueryParameterMatcher:
    query = pb.QueryParameterMatcher(name=plan.name)
    if plan.match.kind == "present":
        query.present_match = True
    else:
        query.string_match.CopyFrom(string_matcher(plan.match))
    return query
