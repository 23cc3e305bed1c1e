"""What some client has taken: known by object and generation."""

from lateen.ads.messages import CDS, ECDS, LDS, Push
from lateen.ads.nack import Taken, blame
from lateen.api.meta import Key
from lateen.model.frame import make_frame

OWNER = (Key("DestinationRule", "default", "web"), 1)
PUSH = Push(CDS, (make_frame(name="web", type_url=CDS, version="1", resource=b"", owners=(OWNER,)),), (), "1")


def test_a_forgotten_object_is_taken_again_with_the_very_same_push() -> None:
    """Streams share the frames of a push; having noted them once must not hide that they are taken anew."""
    taken = Taken()
    taken.note(PUSH)
    assert taken.has(CDS, OWNER)
    taken.forget(OWNER[0])
    assert not taken.has(CDS, OWNER)
    taken.note(PUSH)
    assert taken.has(CDS, OWNER)


POLICIES = tuple((Key("AuthorizationPolicy", "default", name), 1) for name in ("first", "second"))
RULES = Push(ECDS, (make_frame(name="rules", type_url=ECDS, version="1", resource=b"", owners=POLICIES),), (), "1")


def test_what_was_taken_in_one_type_may_be_at_fault_in_another() -> None:
    """A listener that a policy shaped was taken; its rules, which come as a resource of their own, are refused for it all the same."""
    taken = Taken()
    listener = make_frame(name="in", type_url=LDS, version="1", resource=b"", owners=POLICIES)
    taken.note(Push(LDS, (listener,), (), "1"))
    assert blame(RULES, "no", taken).owners == frozenset(POLICIES)


def test_the_policy_that_envoy_names_is_at_fault() -> None:
    """In what is wrong, not in the text of the whole resource before it, which is not shown."""
    dump = 'goo.gle/debugstr    \nrules {\n key: "ns[default]-policy[first]-rule[0]"\n}\n: '
    nack = blame(RULES, f"{dump}Proto constraint validation failed (Policies[ns[default]-policy[second]-rule[0]]: no)", Taken())
    assert nack.owners == frozenset(POLICIES[1:])
    assert nack.message == "Proto constraint validation failed (Policies[ns[default]-policy[second]-rule[0]]: no)"


def test_who_comes_beside_one_at_fault_is_not() -> None:
    """The same words again, with another object in the resource: still about the first; other words are about both."""
    alone = Push(ECDS, (make_frame(name="rules", type_url=ECDS, version="0", resource=b"", owners=POLICIES[:1]),), (), "0")
    before = blame(alone, "bad template", Taken())
    assert blame(RULES, "bad template", Taken(), before).owners == frozenset(POLICIES[:1])
    assert blame(RULES, "bad name", Taken(), before).owners == frozenset(POLICIES)
