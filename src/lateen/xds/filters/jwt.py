"""Prints request authentication: what jwt_authn checks, and what it leaves for authorization and routes (metadata `payload`)."""

from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.model.authz import CLAIMS, TOKENS
from lateen.model.requestauthn import JwtPlan, JwtProvider

__all__ = ["build_jwt"]


def build_jwt(plan: JwtPlan) -> hcm_pb2.HttpFilter:
    """The filter."""
    config = pb.JwtAuthentication(bypass_cors_preflight=True)
    for index, provider in enumerate(plan.providers):
        config.providers[_name(index)].CopyFrom(_provider(provider, clear=plan.clear_route_cache))
    rule = config.rules.add()
    rule.match.prefix = "/"
    rule.requires.CopyFrom(_requirement(len(plan.providers)))
    http_filter = hcm_pb2.HttpFilter(name=TOKENS)
    http_filter.typed_config.Pack(config, deterministic=True)
    return http_filter


def _name(index: int) -> str:
    return f"origins-{index}"


def _provider(plan: JwtProvider, *, clear: bool) -> pb.JwtProvider:
    provider = pb.JwtProvider(
        issuer=plan.issuer,
        audiences=plan.audiences,
        forward=plan.forward,
        from_params=plan.params,
        from_cookies=plan.cookies,
        forward_payload_header=plan.payload_header,
        payload_in_metadata=CLAIMS,
        clear_route_cache=clear,
    )
    provider.local_jwks.inline_string = plan.keys
    provider.normalize_payload_in_metadata.space_delimited_claims.extend(plan.space_delimited)
    for name, prefix in plan.headers:
        provider.from_headers.add(name=name, value_prefix=prefix)
    for header, claim in plan.claim_headers:
        provider.claim_to_headers.add(header_name=header, claim_name=claim)
    return provider


def _requirement(count: int) -> pb.JwtRequirement:
    """One of the providers, or of each: its token or none."""
    names = [_name(index) for index in range(count)]
    if count == 1:
        return _or_missing(names[0])
    each = pb.JwtRequirementAndList(requirements=[_or_missing(name) for name in names])
    options = [pb.JwtRequirement(provider_name=name) for name in names]
    return pb.JwtRequirement(requires_any=pb.JwtRequirementOrList(requirements=[*options, pb.JwtRequirement(requires_all=each)]))


def _or_missing(name: str) -> pb.JwtRequirement:
    missing = pb.JwtRequirement()
    missing.allow_missing.SetInParent()
    return pb.JwtRequirement(requires_any=pb.JwtRequirementOrList(requirements=[pb.JwtRequirement(provider_name=name), missing]))
