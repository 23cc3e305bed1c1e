"""RequestAuthentication: the rules of all policies that count, as one plan.

Keys come inline or were fetched by the control plane; while there are none, tokens of that issuer are refused. Must not fetch.
"""

from collections.abc import Callable, Iterable

from lateen.api.security import JWTRule, RequestAuthentication
from lateen.compile.jwks import NOBODYS_KEY, is_usable
from lateen.model.requestauthn import JwtPlan, JwtProvider
from lateen.util.problem import Problem, Problems

__all__ = ["jwks_address", "plan_request_authn"]

_SPACE_DELIMITED = ("permission", "scope")


def jwks_address(rule: JWTRule) -> str:
    """Where the keys of a rule are fetched; the issuer's discovery document stands for them; "" where they are inline."""
    if rule.jwks:
        return ""
    return rule.jwks_uri or f"{rule.issuer.removesuffix('/')}/.well-known/openid-configuration"


def plan_request_authn(
    policies: Iterable[RequestAuthentication], keys: Callable[[str], str | None], *, gateway: bool = False
) -> tuple[JwtPlan | None, Problems]:
    """The plan of a workload; None where no rule counts. `keys`: what was fetched from an address."""
    named = [(rule, policy, index) for policy in policies for index, rule in enumerate(policy.spec.jwt_rules)]
    named.sort(key=lambda one: one[0].issuer)
    if not named:
        return None, ()
    providers, problems = [], []
    for rule, policy, index in named:
        found = rule.jwks or keys(jwks_address(rule)) or ""
        usable = is_usable(found)
        providers.append(_provider(rule, found if usable else NOBODYS_KEY))
        if not usable and rule.jwks:
            problems.append(_keyless(policy, index))
    return JwtPlan(providers=tuple(providers), clear_route_cache=gateway), tuple(problems)


def _keyless(policy: RequestAuthentication, index: int) -> Problem:
    meta, path = policy.metadata, f"spec.jwtRules[{index}].jwks"
    return Problem(
        code="jwks-without-keys",
        message=f"RequestAuthentication {meta.namespace}/{meta.name}: {path}: no usable public key in it, so tokens of this issuer are "
        'refused; write a key set such as {"keys": [{"kty": "RSA", "n": .., "e": ..}]}',
        kind="RequestAuthentication",
        namespace=meta.namespace,
        name=meta.name,
        path=path,
    )


def _provider(rule: JWTRule, keys: str) -> JwtProvider:
    return JwtProvider(
        issuer=rule.issuer,
        keys=keys,
        audiences=rule.audiences,
        headers=tuple((one.name, one.prefix) for one in rule.from_headers),
        params=rule.from_params,
        cookies=rule.from_cookies,
        forward=rule.forward_original_token,
        payload_header=rule.output_payload_to_header,
        claim_headers=tuple((one.header, one.claim) for one in rule.output_claim_to_headers),
        space_delimited=tuple(sorted({*_SPACE_DELIMITED, *rule.space_delimited_claims})),
    )
