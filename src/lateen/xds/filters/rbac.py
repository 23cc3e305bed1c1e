"""Prints authorization rules (RBAC), for HTTP and for bytes.

The peer's identity is the URI of its verified certificate: upstream Envoy has no istio_authn, and nothing a client writes decides.
"""

from envoy.config.core.v3 import address_pb2, extension_pb2
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2
from envoy.type.matcher.v3 import metadata_pb2, path_pb2, string_pb2, value_pb2

from lateen.model.authz import (
    AllOf,
    Always,
    AnyOf,
    Condition,
    Header,
    InRange,
    Match,
    Metadata,
    Not,
    OnPort,
    Path,
    PathTemplate,
    Peer,
    RbacPlan,
    RuleSet,
    ServerName,
)

__all__ = ["build_http_rbac", "build_network_rbac", "string_matcher"]

_ACTIONS = {"ALLOW": rbac_pb2.RBAC.ALLOW, "DENY": rbac_pb2.RBAC.DENY, "LOG": rbac_pb2.RBAC.LOG}


def build_http_rbac(plan: RbacPlan) -> hcm_pb2.HttpFilter:
    """The HTTP filter."""
    config = http_pb2.RBAC(shadow_rules_stat_prefix=plan.shadow_prefix)
    _set_rules(config, plan)
    http_filter = hcm_pb2.HttpFilter(name="envoy.filters.http.rbac")
    http_filter.typed_config.Pack(config, deterministic=True)
    return http_filter


def build_network_rbac(plan: RbacPlan) -> chain_pb2.Filter:
    """The network filter."""
    config = network_pb2.RBAC(stat_prefix="tcp.", shadow_rules_stat_prefix=plan.shadow_prefix)
    _set_rules(config, plan)
    network_filter = chain_pb2.Filter(name="envoy.filters.network.rbac")
    network_filter.typed_config.Pack(config, deterministic=True)
    return network_filter


def _set_rules(config: http_pb2.RBAC | network_pb2.RBAC, plan: RbacPlan) -> None:
    if plan.rules is not None:
        config.rules.CopyFrom(_rules(plan.rules))
    if plan.shadow is not None:
        config.shadow_rules.CopyFrom(_rules(plan.shadow))


def _rules(plan: RuleSet) -> rbac_pb2.RBAC:
    rules = rbac_pb2.RBAC(action=_ACTIONS[plan.action])
    for rule in plan.rules:
        policy = rules.policies[rule.name]
        policy.permissions.extend(_permission(one) for one in rule.operations)
        policy.principals.extend(_principal(one) for one in rule.sources)
    return rules


def _permission(condition: Condition) -> rbac_pb2.Permission:
    match condition:
        case AllOf(conditions):
            return rbac_pb2.Permission(and_rules=rbac_pb2.Permission.Set(rules=[_permission(one) for one in conditions]))
        case AnyOf(conditions):
            return rbac_pb2.Permission(or_rules=rbac_pb2.Permission.Set(rules=[_permission(one) for one in conditions]))
        case Not(inner):
            return rbac_pb2.Permission(not_rule=_permission(inner))
        case Always():
            return rbac_pb2.Permission(any=True)
        case _:
            return _asked(condition)


def _asked(condition: Condition) -> rbac_pb2.Permission:
    match condition:
        case Path(match):
            return rbac_pb2.Permission(url_path=path_pb2.PathMatcher(path=string_matcher(match)))
        case PathTemplate(template):
            return rbac_pb2.Permission(uri_template=_template(template))
        case OnPort(number):
            return rbac_pb2.Permission(destination_port=number)
        case ServerName(match):
            return rbac_pb2.Permission(requested_server_name=string_matcher(match))
        case InRange("destination"):
            return rbac_pb2.Permission(destination_ip=_range(condition))
        case Header():
            return rbac_pb2.Permission(header=_header(condition))
        case Metadata():
            return rbac_pb2.Permission(metadata=_metadata(condition))
    raise TypeError(f"{condition} is no condition on a request")


def _principal(condition: Condition) -> rbac_pb2.Principal:
    match condition:
        case AllOf(conditions):
            return rbac_pb2.Principal(and_ids=rbac_pb2.Principal.Set(ids=[_principal(one) for one in conditions]))
        case AnyOf(conditions):
            return rbac_pb2.Principal(or_ids=rbac_pb2.Principal.Set(ids=[_principal(one) for one in conditions]))
        case Not(inner):
            return rbac_pb2.Principal(not_id=_principal(inner))
        case Always():
            return rbac_pb2.Principal(any=True)
        case _:
            return _calling(condition)


def _calling(condition: Condition) -> rbac_pb2.Principal:
    match condition:
        case Peer(match):
            principal = rbac_pb2.Principal()
            principal.authenticated.principal_name.CopyFrom(string_matcher(match))
            return principal
        case InRange("direct"):
            return rbac_pb2.Principal(direct_remote_ip=_range(condition))
        case InRange("remote"):
            return rbac_pb2.Principal(remote_ip=_range(condition))
        case Header():
            return rbac_pb2.Principal(header=_header(condition))
        case Metadata():
            return rbac_pb2.Principal(metadata=_metadata(condition))
    raise TypeError(f"{condition} is no condition on a caller")


def string_matcher(match: Match) -> string_pb2.StringMatcher:
    """A text match; "present" is any text but the empty one."""
    matcher = string_pb2.StringMatcher(ignore_case=match.ignore_case)
    if match.kind in ("regex", "present"):
        matcher.safe_regex.regex = match.text if match.kind == "regex" else ".+"
    elif match.kind == "exact":
        matcher.exact = match.text
    elif match.kind == "prefix":
        matcher.prefix = match.text
    else:
        matcher.suffix = match.text
    return matcher


def _header(condition: Header) -> route_components_pb2.HeaderMatcher:
    if condition.match.kind == "present":
        return route_components_pb2.HeaderMatcher(name=condition.name, present_match=True)
    return route_components_pb2.HeaderMatcher(name=condition.name, string_match=string_matcher(condition.match))


def _range(condition: InRange) -> address_pb2.CidrRange:
    cidr = address_pb2.CidrRange(address_prefix=condition.address)
    cidr.prefix_len.value = condition.length
    return cidr


def _template(template: str) -> extension_pb2.TypedExtensionConfig:
    extension = extension_pb2.TypedExtensionConfig(name="uri-template")
    extension.typed_config.Pack(uri_template_match_pb2.UriTemplateMatchConfig(path_template=template))
    return extension


def _metadata(condition: Metadata) -> metadata_pb2.MetadataMatcher:
    matcher = metadata_pb2.MetadataMatcher(filter=condition.filter)
    for key in condition.path:
        matcher.path.add(key=key)
    values = [value_pb2.ValueMatcher(string_match=string_matcher(one)) for one in condition.matches]
    one = values[0] if len(values) == 1 else value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=values))
    if condition.lists:
        in_list = value_pb2.ValueMatcher(list_match=value_pb2.ListMatcher(one_of=one))
        one = value_pb2.ValueMatcher(or_match=value_pb2.OrMatcher(value_matchers=[in_list, one]))
    matcher.value.CopyFrom(one)
    return matcher
