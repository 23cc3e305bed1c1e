"""Authorization and tokens as resources of their own (ECDS): a changed rule counts for the next request, on every connection.

Why: as a part of the listener, a change would drain the chain, and every connection from before would carry one more request under the
old rules (docs/decisions/015). All places are always there, empty ones with rules that refuse nothing, so that the first policy comes as
fast as a later one. All chains of a proxy have the same rules, so a place's name is the resource's. Must not decide
what a rule means.
"""

from collections.abc import Iterable, Iterator, Mapping

from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.model.authz import AuthzPlan, ExtAuthzPlan, RbacPlan
from lateen.model.listenerplan import HttpPlan, ListenerPlan
from lateen.model.requestauthn import JwtPlan
from lateen.xds.filters.extauthz import build_http_ext_authz
from lateen.xds.filters.jwt import build_jwt
from lateen.xds.filters.rbac import build_http_rbac
from lateen.xds.values import set_duration

__all__ = ["TOKENS", "build_extensions", "build_rule_slots", "build_service_slots", "build_token_slot", "put_in"]

_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_EXT_AUTHZ = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_JWT = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_CUSTOM, _SERVICE, TOKENS = "lateen.authz.custom", "lateen.authz.service", "lateen.tokens"
_RULES = {"LOG": "lateen.authz.audit", "DENY": "lateen.authz.deny", "ALLOW": "lateen.authz.allow"}
_TYPES = {TOKENS: (_JWT, _RBAC), _SERVICE: (_EXT_AUTHZ, _RBAC)}
_NOTHING = RbacPlan()  # a filter that refuses nothing
_ENVOYS_NAMES = {_RBAC: "envoy.filters.http.rbac", _EXT_AUTHZ: "envoy.filters.http.ext_authz", _JWT: "envoy.filters.http.jwt_authn"}
_HCM = "envoy.filters.network.http_connection_manager"
_V3 = 2


def build_service_slots() -> Iterable[hcm_pb2.HttpFilter]:
    """The places of CUSTOM: what is asked about, and who."""
    return map(_slot, (_CUSTOM, _SERVICE))


def build_token_slot() -> hcm_pb2.HttpFilter:
    """The place of tokens."""
    return _slot(TOKENS)


def build_rule_slots() -> Iterable[hcm_pb2.HttpFilter]:
    """The places of AUDIT, DENY and ALLOW."""
    return map(_slot, _RULES.values())


def build_extensions(plans: Iterable[ListenerPlan]) -> dict[str, extension_pb2.TypedExtensionConfig]:
    """What belongs in the places of these listeners; ValueError where two chains differ, which would let one have the other's rules."""
    found: dict[str, extension_pb2.TypedExtensionConfig] = {}
    printed: list[tuple[AuthzPlan | None, JwtPlan | None]] = []
    for plan in _served(plans):
        if any(plan.authz is authz and plan.authn is authn for authz, authn in printed):
            continue
        printed.append((plan.authz, plan.authn))
        for name, http_filter in _filled(plan).items():
            config = extension_pb2.TypedExtensionConfig(name=name, typed_config=http_filter.typed_config)
            if found.setdefault(name, config) != config:
                raise ValueError(f"two chains of one proxy differ in {name}")
    return found


def _served(plans: Iterable[ListenerPlan]) -> Iterator[HttpPlan]:
    """The chains of HTTP that have places."""
    for plan in plans:
        for chain in (*plan.chains, *((plan.default,) if plan.default is not None else ())):
            if isinstance(chain.application, HttpPlan) and chain.application.role != "outbound":
                yield chain.application


def _filled(plan: HttpPlan) -> Mapping[str, hcm_pb2.HttpFilter]:
    """The filter for each place."""
    authz = plan.authz or AuthzPlan()
    custom = next((step for step in authz.custom if isinstance(step, RbacPlan)), _NOTHING)
    service = next((step for step in authz.custom if isinstance(step, ExtAuthzPlan)), None)
    steps = {_action(step): step for step in authz.rules if isinstance(step, RbacPlan)}
    return {
        _CUSTOM: build_http_rbac(custom),
        _SERVICE: build_http_ext_authz(service) if service is not None else build_http_rbac(_NOTHING),
        TOKENS: build_jwt(plan.authn) if plan.authn is not None else build_http_rbac(_NOTHING),
        **{name: build_http_rbac(steps.get(action, _NOTHING)) for action, name in _RULES.items()},
    }


def _action(step: RbacPlan) -> str:
    rules = step.rules or step.shadow
    return rules.action if rules is not None else ""


def _slot(name: str) -> hcm_pb2.HttpFilter:
    slot = hcm_pb2.HttpFilter(name=name)
    source = slot.config_discovery
    source.type_urls.extend(_TYPES.get(name, (_RBAC,)))
    source.config_source.ads.SetInParent()
    source.config_source.resource_api_version = _V3
    set_duration(source.config_source.initial_fetch_timeout, 0)  # rather no traffic than traffic without rules
    return slot


def put_in(listener: listener_pb2.Listener, extensions: Mapping[str, extension_pb2.TypedExtensionConfig]) -> None:
    """Make the listener hold its filters itself, under Envoy's names for them and without those that do nothing, as Istio's does."""
    chains = [*listener.filter_chains, *([listener.default_filter_chain] if listener.HasField("default_filter_chain") else [])]
    for network_filter in (one for chain in chains for one in chain.filters if one.name == _HCM):
        manager = hcm_pb2.HttpConnectionManager.FromString(network_filter.typed_config.value)
        filters = [kept for one in manager.http_filters if (kept := _with_config(one, extensions)) is not None]
        del manager.http_filters[:]
        manager.http_filters.extend(filters)
        network_filter.typed_config.value = manager.SerializeToString(deterministic=True)


def _with_config(
    http_filter: hcm_pb2.HttpFilter, extensions: Mapping[str, extension_pb2.TypedExtensionConfig]
) -> hcm_pb2.HttpFilter | None:
    if http_filter.name not in (_CUSTOM, _SERVICE, TOKENS, *_RULES.values()):
        return http_filter
    config = extensions[http_filter.name].typed_config
    if config.type_url == _RBAC and not config.value:
        return None
    return hcm_pb2.HttpFilter(name=_ENVOYS_NAMES[config.type_url], typed_config=config)
