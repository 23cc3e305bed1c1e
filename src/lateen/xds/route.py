"""Prints one route: match, action, header operations, decorator, origin."""

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2

from lateen.model.routeplan import HashPlan, HeaderOpsPlan, MirrorPlan, RedirectPlan, RetryPlan, RoutePlan, TargetPlan
from lateen.xds.perroute import add_filter_settings
from lateen.xds.routematch import build_match
from lateen.xds.values import set_duration

__all__ = ["build_route"]

_CODES = {
    301: pb.RedirectAction.MOVED_PERMANENTLY,
    302: pb.RedirectAction.FOUND,
    303: pb.RedirectAction.SEE_OTHER,
    307: pb.RedirectAction.TEMPORARY_REDIRECT,
    308: pb.RedirectAction.PERMANENT_REDIRECT,
}
_HOST_ATTEMPTS = 5
_MIRROR_ALL = 100
_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


def build_route(plan: RoutePlan) -> pb.Route:
    """The route message of `plan`."""
    route = pb.Route(name=plan.name, match=build_match(plan.match), stat_prefix=plan.stat_prefix)
    if plan.redirect is not None:
        route.redirect.CopyFrom(_redirect(plan.redirect))
    elif plan.response is not None:
        route.direct_response.status = plan.response.status
        if plan.response.body is not None:
            _set_body(route.direct_response.body, plan.response.body)
    else:
        route.route.CopyFrom(_action(plan))
    if plan.operation:
        route.decorator.operation = plan.operation
    if plan.config is not None:
        path = f"/apis/networking.istio.io/v1/namespaces/{plan.config.namespace}/virtual-service/{plan.config.name}"
        route.metadata.filter_metadata["istio"]["config"] = path
    _add_headers(route, plan.headers)
    add_filter_settings(route, plan)
    return route


def _set_body(body: base_pb2.DataSource, content: bytes) -> None:
    try:
        body.inline_string = content.decode()
    except UnicodeDecodeError:
        body.inline_bytes = content


def _redirect(plan: RedirectPlan) -> pb.RedirectAction:
    redirect = pb.RedirectAction(host_redirect=plan.authority, port_redirect=plan.port, response_code=_CODES[plan.code])
    if plan.scheme:
        redirect.scheme_redirect = plan.scheme
    if plan.prefix:
        redirect.prefix_rewrite = plan.prefix
    else:
        redirect.path_redirect = plan.path
    return redirect


def _action(plan: RoutePlan) -> pb.RouteAction:
    action = pb.RouteAction(
        prefix_rewrite=plan.prefix_rewrite,
        hash_policy=[_hash(policy) for policy in plan.hashes],
        request_mirror_policies=[_mirror(mirror) for mirror in plan.mirrors],
    )
    if len(plan.targets) == 1 and not plan.targets[0].weight:
        action.cluster = plan.targets[0].cluster
    else:
        action.weighted_clusters.clusters.extend(_weighted(target) for target in plan.targets)
    set_duration(action.timeout, plan.timeout)
    set_duration(action.max_grpc_timeout, plan.timeout)
    if plan.retry is not None:
        action.retry_policy.CopyFrom(_retry(plan.retry))
    if plan.authority:
        action.host_rewrite_literal = plan.authority
    if plan.regex_rewrite is not None:
        action.regex_rewrite.pattern.regex, action.regex_rewrite.substitution = plan.regex_rewrite
    return action


def _weighted(target: TargetPlan) -> pb.WeightedCluster.ClusterWeight:
    weighted = pb.WeightedCluster.ClusterWeight(name=target.cluster)
    weighted.weight.value = target.weight
    if target.authority:
        weighted.host_rewrite_literal = target.authority
    _add_headers(weighted, target.headers)
    return weighted


def _add_headers(message: "pb.Route | pb.WeightedCluster.ClusterWeight", plan: HeaderOpsPlan) -> None:
    message.request_headers_to_add.extend(_header(operation) for operation in plan.request)
    message.response_headers_to_add.extend(_header(operation) for operation in plan.response)
    message.request_headers_to_remove.extend(plan.request_remove)
    message.response_headers_to_remove.extend(plan.response_remove)


def _header(operation: tuple[str, str, bool]) -> base_pb2.HeaderValueOption:
    name, value, replace = operation
    option = base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=name, value=value))
    if replace:
        option.append_action = _OVERWRITE
    return option


def _retry(plan: RetryPlan) -> pb.RetryPolicy:
    policy = pb.RetryPolicy(
        retry_on=plan.retry_on, host_selection_retry_max_attempts=_HOST_ATTEMPTS, retriable_status_codes=plan.status_codes
    )
    policy.num_retries.value = plan.attempts
    if plan.other_hosts:
        predicate = policy.retry_host_predicate.add(name="envoy.retry_host_predicates.previous_hosts")
        predicate.typed_config.Pack(previous_hosts_pb2.PreviousHostsPredicate())
    if plan.other_localities:
        policy.retry_priority.name = "envoy.retry_priorities.previous_priorities"
        policy.retry_priority.typed_config.Pack(previous_priorities_config_pb2.PreviousPrioritiesConfig(update_frequency=2))
    if plan.per_try_timeout is not None:
        set_duration(policy.per_try_timeout, plan.per_try_timeout)
    if plan.backoff is not None:
        set_duration(policy.retry_back_off.base_interval, plan.backoff)
    return policy


def _mirror(plan: MirrorPlan) -> pb.RouteAction.RequestMirrorPolicy:
    mirror = pb.RouteAction.RequestMirrorPolicy(cluster=plan.cluster, disable_shadow_host_suffix_append=True)
    mirror.trace_sampled.value = False
    share = mirror.runtime_fraction.default_value
    if plan.share is None:
        share.numerator = _MIRROR_ALL
    else:
        share.numerator, share.denominator = plan.share, share.MILLION
    return mirror


def _hash(plan: HashPlan) -> pb.RouteAction.HashPolicy:
    policy = pb.RouteAction.HashPolicy()
    if plan.kind == "header":
        policy.header.header_name = plan.name
    elif plan.kind == "query":
        policy.query_parameter.name = plan.name
    elif plan.kind == "source_ip":
        policy.connection_properties.source_ip = True
    else:
        policy.cookie.name, policy.cookie.path = plan.name, plan.path
        if plan.ttl is not None:
            set_duration(policy.cookie.ttl, plan.ttl)
        for name, value in plan.attributes:
            policy.cookie.attributes.add(name=name, value=value)
    return policy
