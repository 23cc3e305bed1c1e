"""AuthorizationPolicy: the steps by which a workload's chains let requests and connections in.

Evaluated in Istio's order: CUSTOM, AUDIT, DENY, ALLOW. Which policies count is decided by the caller (`compile.security`); what a
rule means is in `compile.authzrules`. A CUSTOM policy whose service cannot be asked refuses what it would have asked about.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from lateen.api.security import AuthorizationPolicy
from lateen.compile.authzrules import RuleContext, compile_rules
from lateen.model.authz import ASKED_PREFIX, Always, AuthzPlan, AuthzRule, AuthzStep, ExtAuthzPlan, Not, RbacPlan, RuleSet
from lateen.util.problem import Problem, Problems

__all__ = ["DRY_RUN", "AuthzContext", "is_dry_run", "plan_authz"]

DRY_RUN = "istio.io/dry-run"
_SHADOW = "istio_dry_run_{}_"
_ASKED = "istio-ext-authz"
_REFUSED = "-deny-due-to-bad-CUSTOM-action"
_ACTIONS: Mapping[str, str] = {"ALLOW": "ALLOW", "DENY": "DENY", "AUDIT": "LOG"}


class AuthzContext(Struct, frozen=True, kw_only=True):
    """What authorization asks of the mesh. `provider`: an authorizer by name, or why it cannot be asked."""

    provider: Callable[[str], ExtAuthzPlan | str]
    trust_domains: tuple[str, ...]


def plan_authz(policies: Iterable[AuthorizationPolicy], context: AuthzContext) -> tuple[AuthzPlan | None, Problems]:
    """The steps of a workload's chains; None where no policy counts."""
    by_action: dict[str, list[AuthorizationPolicy]] = {}
    for policy in policies:
        by_action.setdefault(policy.spec.action, []).append(policy)
    if not by_action:
        return None, ()
    custom, problems = _custom(by_action.get("CUSTOM", []), context, tcp=False)
    custom_tcp, _ = _custom(by_action.get("CUSTOM", []), context, tcp=True)
    rules, tcp = (
        tuple(step for action in ("AUDIT", "DENY", "ALLOW") if (step := _step(by_action.get(action, []), action, context, tcp=tcp)))
        for tcp in (False, True)
    )
    return AuthzPlan(custom=custom, rules=rules, tcp=(*custom_tcp, *tcp)), problems


def is_dry_run(policy: AuthorizationPolicy) -> bool:
    """Whether the policy is only counted."""
    return policy.metadata.annotations.get(DRY_RUN) == "true" and policy.spec.action in {"ALLOW", "DENY"}


def _step(policies: Sequence[AuthorizationPolicy], action: str, context: AuthzContext, *, tcp: bool) -> RbacPlan | None:
    if not policies:
        return None
    enforced = [one for one in policies if not is_dry_run(one)]
    tried = [one for one in policies if is_dry_run(one)]
    shadow = "deny" if tried and action == "DENY" else "allow"
    return RbacPlan(
        rules=_rule_set(enforced, action, context, tcp=tcp),
        shadow=_rule_set(tried, action, context, tcp=tcp),
        shadow_prefix=_SHADOW.format(shadow),
    )


def _rule_set(policies: Sequence[AuthorizationPolicy], action: str, context: AuthzContext, *, tcp: bool) -> RuleSet | None:
    if not policies:
        return None
    rules = [rule for policy in policies for rule in _rules(policy, _name(policy), context, tcp=tcp)]
    kind = _ACTIONS[action]
    return RuleSet(action="ALLOW" if kind == "ALLOW" else "DENY" if kind == "DENY" else "LOG", rules=tuple(rules))


def _rules(policy: AuthorizationPolicy, name: str, context: AuthzContext, *, tcp: bool) -> tuple[AuthzRule, ...]:
    spec = policy.spec
    if not spec.rules and spec.action == "ALLOW":
        nothing = (Not(Always()),)
        return (AuthzRule(name=f"{name}-rule[0]", operations=nothing, sources=nothing),)
    for_rules = RuleContext(namespace=policy.metadata.namespace, action=spec.action, tcp=tcp, trust_domains=context.trust_domains)
    return compile_rules(spec.rules, name, for_rules)


def _name(policy: AuthorizationPolicy) -> str:
    return f"ns[{policy.metadata.namespace}]-policy[{policy.metadata.name}]"


def _custom(policies: Sequence[AuthorizationPolicy], context: AuthzContext, *, tcp: bool) -> tuple[tuple[AuthzStep, ...], Problems]:
    if not policies:
        return (), ()
    names = sorted({policy.spec.provider.name if policy.spec.provider is not None else "" for policy in policies})
    provider = names[0]
    found = context.provider(provider) if len(names) == 1 else f"only one provider can be asked per workload, found {', '.join(names)}"
    prefix = f"{_ASKED}-{provider}"
    suffix = _REFUSED if isinstance(found, str) else ""
    rules = tuple(
        AuthzRule(name=f"{rule.name}{suffix}", operations=rule.operations, sources=rule.sources)
        for policy in policies
        for rule in _rules(policy, f"{prefix}-{_name(policy)}", context, tcp=tcp)
    )
    if isinstance(found, str):
        refused = RbacPlan(rules=RuleSet(action="DENY", rules=rules))
        return (refused,), tuple(_unusable(policy, found) for policy in policies)
    if tcp and found.http:
        return (), ()
    asked = RbacPlan(shadow=RuleSet(action="DENY", rules=rules), shadow_prefix=ASKED_PREFIX)
    return (asked, found), ()


def _unusable(policy: AuthorizationPolicy, why: str) -> Problem:
    meta = policy.metadata
    return Problem(
        code="authorization-provider",
        message=f"AuthorizationPolicy {meta.namespace}/{meta.name}: spec.provider: {why}; till then what its rules match is refused",
        kind="AuthorizationPolicy",
        namespace=meta.namespace,
        name=meta.name,
        path="spec.provider",
    )
