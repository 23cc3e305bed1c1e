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
    admit = LocalAdmission(lambda _namespace: {}, lambda: {"VirtualService"})
    assert admit("CREATE", INFO, rule(1), None).errors == ()
    (refused,) = admit("CREATE", INFO, rule(-1), None).errors
    assert (refused.field, refused.message) == ("spec.http[0].route[0].weight", "weight -1 < 0")
    assert admit("UPDATE", INFO, rule(-1), rule(1)).errors
    assert admit("UPDATE", INFO, rule(-1) | {"metadata": {"name": "x", "labels": {"a": "b"}}}, rule(-1)).errors == ()


def test_a_kind_that_nothing_reads_is_warned_of() -> None:
    """Whoever applies a policy must not believe that it is in force; while there is no control plane nobody knows."""
    policy = info_of("AuthorizationPolicy")
    raw = {"apiVersion": policy.api_version, "kind": policy.kind, "metadata": {"name": "x"}, "spec": {"rules": [{}]}}

    def warned(known: set[str] | None) -> bool:
        warnings = LocalAdmission(lambda _namespace: {}, lambda: known)("CREATE", policy, raw, None).warnings
        return any("does not act on it" in warning for warning in warnings)

    assert [warned(None), warned({"VirtualService"}), warned({"AuthorizationPolicy"})] == [False, True, False]
