"""What the local mesh refuses before it is stored."""

from typing import Any

from lateen.api.kinds import info_of
from lateen.local.admission import LocalAdmission

INFO = info_of("VirtualService")


def rule(weight: int) -> dict[str, Any]:
    """A VirtualService with this weight."""
    spec = {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews"}, "weight": weight}]}]}
    return {"apiVersion": INFO.api_version, "kind": INFO.kind, "metadata": {"name": "x"}, "spec": spec}


def test_istios_kinds_are_validated_when_their_spec_is_new() -> None:
    """What was stored before, however it came there, can still be labelled and deleted."""
    admit = LocalAdmission(lambda _namespace: {})
    assert admit("CREATE", INFO, rule(1), None).errors == ()
    (refused,) = admit("CREATE", INFO, rule(-1), None).errors
    assert (refused.field, refused.message) == ("spec.http[0].route[0].weight", "weight -1 < 0")
    assert admit("UPDATE", INFO, rule(-1), rule(1)).errors
    assert admit("UPDATE", INFO, rule(-1) | {"metadata": {"name": "x", "labels": {"a": "b"}}}, rule(-1)).errors == ()
