"""The places of authorization and tokens in a chain, and what is put there."""

import pytest

from lateen.model.authz import Always, AuthzPlan, AuthzRule, RbacPlan, RuleSet
from lateen.model.listenerplan import ChainPlan, HttpPlan, ListenerPlan
from lateen.xds.filters.order import build_http_filters
from lateen.xds.filters.slots import build_extensions

PLACES = ["lateen.authz.custom", "lateen.authz.service", "lateen.tokens", "lateen.authz.audit", "lateen.authz.deny", "lateen.authz.allow"]
REFUSE_ALL = RbacPlan(rules=RuleSet(action="DENY", rules=(AuthzRule(name="all", operations=(Always(),), sources=(Always(),)),)))


def listener(*authz: AuthzPlan | None, role: str = "inbound") -> ListenerPlan:
    """A listener with a chain of HTTP for each."""
    chains = [ChainPlan(application=HttpPlan(role=role, stat_prefix="s", route_name="r", authz=one)) for one in authz]  # type: ignore[arg-type]
    return ListenerPlan(name="l", address="10.0.0.1", port=80, direction="INBOUND", chains=tuple(chains))


def names(plan: ListenerPlan) -> list[str]:
    """The places of the first chain."""
    application = plan.chains[0].application
    assert isinstance(application, HttpPlan)
    return [one.name for one in build_http_filters(application) if one.HasField("config_discovery")]


def test_places_are_there_without_policies() -> None:
    """All of them, with rules that refuse nothing."""
    assert names(listener(None)) == PLACES
    found = build_extensions([listener(None)])
    assert sorted(found) == sorted(PLACES)
    assert all(one.typed_config.TypeName().endswith("RBAC") and not one.typed_config.value for one in found.values())


def test_a_policy_changes_the_resource_and_not_the_chain() -> None:
    """The same places; one of them holds the rules."""
    refusing = listener(AuthzPlan(rules=(REFUSE_ALL,)))
    assert names(refusing) == PLACES
    held = {name for name, one in build_extensions([refusing]).items() if one.typed_config.value}
    assert held == {"lateen.authz.deny"}


def test_outbound_chains_have_none() -> None:
    """Authorization is the server's."""
    assert names(listener(None, role="outbound")) == []
    assert build_extensions([listener(None, role="outbound")]) == {}


def test_chains_of_one_proxy_cannot_differ() -> None:
    """They would share a resource, so one would have the other's rules."""
    with pytest.raises(ValueError, match=r"differ in lateen\.authz\.deny"):
        build_extensions([listener(None, AuthzPlan(rules=(REFUSE_ALL,)))])
