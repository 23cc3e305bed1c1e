"""What is certain before a client has said anything."""

from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from lateen.model.authz import AllOf, Always, AuthzRule, Condition, InRange, Match, Not, OnPort, Peer, RbacPlan, RuleSet
from lateen.xds.earlyrefusal import build_early_refusal

ANY = (Always(),)
FAR, EVE, PORT = InRange("direct", "192.0.2.0", 24), Peer(Match("exact", "spiffe://td/ns/x/sa/eve")), OnPort(9000)


def step(action: str, *rules: tuple[Condition, Condition]) -> RbacPlan:
    made = tuple(AuthzRule(name="r", operations=(asked,), sources=(caller,)) for asked, caller in rules)
    return RbacPlan(rules=RuleSet(action=action, rules=made))  # type: ignore[arg-type]  # one of three


def said(*steps: RbacPlan) -> str:
    """The condition of a chain without TLS, where certificates are none; "" where nothing is certain."""
    built = build_early_refusal(steps, secured=False)
    if built is None:
        return ""
    config = set_filter_state_pb2.Config.FromString(built.typed_config.value)
    text: str = config.on_new_connection[0].format_string.text_format_source.inline_string
    return text.removeprefix("%CEL(").removesuffix(" ? 'BlackHoleCluster' : '')%")


def test_what_cannot_be_asked_is_left_to_envoys_rules() -> None:
    """An address range in a DENY rule may not match, in an ALLOW rule it may; the same, turned round, within a `not`."""
    assert said(step("DENY", (Always(), FAR))) == ""
    assert said(step("DENY", (Always(), Not(FAR)))) == ""
    assert said(step("ALLOW", (Always(), FAR))) == ""
    assert said(step("ALLOW", (Always(), Not(FAR)))) == ""
    assert said(step("ALLOW", (PORT, FAR))) == "!(destination.port == 9000)"


def test_what_is_certain_is_said() -> None:
    """Ports; nobody is a principal without a certificate; nothing let in is all refused; audits refuse nothing."""
    assert said(step("DENY", (PORT, Always()))) == "destination.port == 9000"
    assert said(step("DENY", (Always(), EVE))) == ""
    assert said(step("ALLOW", (Always(), AllOf((EVE,))))) == "true"
    assert said(step("ALLOW")) == "true"
    assert said(step("LOG", (Always(), Always()))) == ""
    assert said(RbacPlan(shadow=RuleSet(action="DENY", rules=(AuthzRule(name="r", operations=ANY, sources=ANY),)))) == ""
