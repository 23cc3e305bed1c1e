"""Templates of paths that would end an Envoy: refused when they are applied, and never sent, however they came to be there."""

import pytest

from lateen.api.security import Operation, Rule, To
from lateen.compile.authzrules import RuleContext, compile_rules
from lateen.model.authz import AllOf, Always, AnyOf, Condition, Not, PathTemplate

NEVER, ALWAYS = Not(Always()), Always()


def operation(action: str, asked: Operation) -> Condition:
    """The one condition that a rule about a request's path comes to."""
    (rule,) = compile_rules((Rule(to=(To(operation=asked),)),), "policy", RuleContext(namespace="default", action=action))
    (found,) = rule.operations
    assert isinstance(found, AllOf)
    return found.conditions[0]


@pytest.mark.parametrize(
    ("action", "paths", "not_paths"),
    [("ALLOW", NEVER, ALWAYS), ("DENY", ALWAYS, NEVER), ("CUSTOM", ALWAYS, NEVER), ("AUDIT", ALWAYS, NEVER)],
)
def test_a_rule_with_a_broken_template_errs_towards_refusing(action: str, paths: Condition, not_paths: Condition) -> None:
    """What cannot be compared lets nobody in: ALLOW matches nothing by it, the others everything, in `paths` and in `notPaths`."""
    assert operation(action, Operation(paths=("/a b/{*}",))) == AnyOf((paths,))
    assert operation(action, Operation(not_paths=("/a//{**}",))) == Not(AnyOf((not_paths,)))


def test_a_good_template_is_sent_as_envoy_writes_it() -> None:
    """Beside others, each for itself."""
    found = operation("DENY", Operation(paths=("/a/{*}/b/{**}", "/{*}/")))
    assert found == AnyOf((PathTemplate("/a/*/b/**"), PathTemplate("/*/")))
