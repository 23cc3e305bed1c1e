"""What happens when objects go."""

from typing import Any

import pytest

from lateen.kube.deletion import Deletion
from lateen.kube.errors import ApiError


def owned(name: str, *owners: dict[str, Any]) -> dict[str, Any]:
    references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": o["metadata"]["name"], "uid": o["metadata"]["uid"]} for o in owners]
    return {"metadata": {"name": name, "ownerReferences": references}}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_a_deletion_carries_the_last_state_under_its_own_revision(world: Any, make_config_map: Any) -> None:
    """Watchers resume after it."""
    made = world.create("ConfigMap", make_config_map("a"))
    written = world.delete("ConfigMap", "a")
    assert written.gone
    assert written.changes[0].type == "DELETED"
    assert written.stored.rv == int(made["metadata"]["resourceVersion"]) + 1
    assert world.body(written.stored)["data"] == {"a": "1"}
    with pytest.raises(ApiError) as refused:
        world.delete("ConfigMap", "a")
    assert refused.value.code == 404


def test_preconditions_guard_a_deletion(world: Any, make_config_map: Any) -> None:
    """A namesake of another uid or revision is left alone."""
    made = world.create("ConfigMap", make_config_map("a"))
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        with pytest.raises(ApiError) as refused:
            world.delete("ConfigMap", "a", preconditions=wrong)
        assert refused.value.reason == "Conflict"
    assert world.delete("ConfigMap", "a", preconditions={"uid": made["metadata"]["uid"]}).gone


def test_finalizers_hold_an_object(world: Any, make_config_map: Any) -> None:
    """It is marked, stays readable, cannot be made again, and goes with the last finalizer."""
    world.create("ConfigMap", make_config_map("a", finalizers=["x/hold"]))
    assert not world.delete("ConfigMap", "a").gone
    marked = world.get("ConfigMap", "a")
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:05Z"
    assert world.delete("ConfigMap", "a").changes == ()  # a second time changes nothing
    with pytest.raises(ApiError, match="object is being deleted"):
        world.create("ConfigMap", make_config_map("a"))
    with pytest.raises(ApiError, match="no new finalizers"):
        world.update("ConfigMap", "a", lambda obj: obj["metadata"].update(finalizers=["x/hold", "y/more"]))
    world.update("ConfigMap", "a", lambda obj: obj["metadata"].pop("finalizers"))
    assert world.get("ConfigMap", "a") is None


def test_dependants_go_with_their_owner_in_one_step(world: Any, make_config_map: Any) -> None:
    """The whole chain is one transaction, so a crash leaves no orphan."""
    a = world.create("ConfigMap", make_config_map("a"))
    b = world.create("ConfigMap", owned("b", a))
    world.create("ConfigMap", owned("c", b))
    written = world.delete("ConfigMap", "a")
    assert [(c.type, c.stored.ref.name) for c in written.changes] == [("DELETED", "a"), ("DELETED", "b"), ("DELETED", "c")]
    assert world.names("configmaps") == []


def test_a_very_long_chain_of_owners_goes(world: Any, make_config_map: Any) -> None:
    """Deeper than Python's own stack."""
    last = world.create("ConfigMap", make_config_map("n0"))
    for n in range(1, 1500):
        last = world.create("ConfigMap", owned(f"n{n}", last))
    world.delete("ConfigMap", "n0")
    assert world.names("configmaps") == []


def test_a_second_owner_keeps_a_dependant(world: Any, make_config_map: Any) -> None:
    """The lost owner's reference is taken out; with the last owner it goes."""
    a, b = world.create("ConfigMap", make_config_map("a")), world.create("ConfigMap", make_config_map("b"))
    world.create("ConfigMap", owned("c", a, b))
    world.delete("ConfigMap", "a")
    assert [o["name"] for o in world.get("ConfigMap", "c")["metadata"]["ownerReferences"]] == ["b"]
    world.delete("ConfigMap", "b")
    assert world.get("ConfigMap", "c") is None


def test_orphan_keeps_the_dependants(world: Any, make_config_map: Any) -> None:
    """Without their reference."""
    a = world.create("ConfigMap", make_config_map("a"))
    world.create("ConfigMap", owned("b", a))
    world.delete("ConfigMap", "a", propagation_policy="Orphan")
    assert "ownerReferences" not in world.get("ConfigMap", "b")["metadata"]


def test_foreground_waits_for_the_dependants(world: Any, make_config_map: Any) -> None:
    """The owner stays, marked, until the last of them is gone."""
    a = world.create("ConfigMap", make_config_map("a"))
    held = owned("b", a)
    held["metadata"]["finalizers"] = ["x/hold"]
    world.create("ConfigMap", held)
    world.delete("ConfigMap", "a", propagation_policy="Foreground")
    assert world.get("ConfigMap", "a")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in world.get("ConfigMap", "b")["metadata"]
    world.update("ConfigMap", "b", lambda obj: obj["metadata"].pop("finalizers"))
    assert world.names("configmaps") == []


def test_a_dependant_of_a_dead_owner_does_not_live(world: Any) -> None:
    """A controller that was too slow leaves nothing behind."""
    world.create("ConfigMap", owned("b", {"metadata": {"name": "gone", "uid": "gone"}}))
    assert world.names("configmaps") == []


def test_a_pod_on_a_node_stays_until_the_node_deletes_it(world: Any) -> None:
    """Marked with its grace; grace 0 ends it."""
    world.create("Pod", pod("p", nodeName="n", terminationGracePeriodSeconds=5))
    assert not world.delete("Pod", "p").gone
    meta = world.get("Pod", "p")["metadata"]
    assert (meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"]) == ("2026-01-02T03:04:10Z", 5)
    assert world.delete("Pod", "p").changes == ()
    world.delete("Pod", "p", grace_period_seconds=1)
    assert world.get("Pod", "p")["metadata"]["deletionGracePeriodSeconds"] == 1
    assert world.delete("Pod", "p", grace_period_seconds=0).gone


def test_pods_that_run_nowhere_go_at_once(world: Any) -> None:
    """Not scheduled, or finished."""
    world.create("Pod", pod("p"))
    assert world.delete("Pod", "p").gone
    world.create("Pod", pod("q", nodeName="n"))
    world.update("Pod", "q", lambda obj: obj | {"status": {"phase": "Succeeded"}}, subresource="status")
    assert world.delete("Pod", "q").gone


def test_a_namespace_takes_its_contents_along(world: Any, make_config_map: Any) -> None:
    """Terminating until the last object is gone; nothing new may come in."""
    world.create("Namespace", {"metadata": {"name": "shop"}}, "")
    world.create("ConfigMap", make_config_map("a"), "shop")
    world.create("Pod", pod("p", nodeName="n"), "shop")
    assert not world.delete("Namespace", "shop", "").gone
    assert world.get("Namespace", "shop", "")["status"] == {"phase": "Terminating"}
    assert world.names("configmaps", "shop") == []
    with pytest.raises(ApiError, match="because it is being terminated") as refused:
        world.create("ConfigMap", make_config_map("b"), "shop")
    assert refused.value.code == 403
    world.delete("Pod", "p", "shop", grace_period_seconds=0)
    assert world.get("Namespace", "shop", "") is None


def test_an_empty_namespace_goes_at_once(world: Any) -> None:
    """MODIFIED (Terminating), then DELETED, in one step."""
    world.create("Namespace", {"metadata": {"name": "shop"}}, "")
    assert [c.type for c in world.delete("Namespace", "shop", "").changes] == ["MODIFIED", "DELETED"]


def test_the_default_namespace_stays(world: Any) -> None:
    """403, as on Kubernetes."""
    with pytest.raises(ApiError, match="this namespace may not be deleted"):
        world.delete("Namespace", "default", "")


def test_a_refused_deletion_leaves_no_trace(world: Any, make_config_map: Any) -> None:
    """A transaction that fails in the middle is undone, revision included."""
    world.create("ConfigMap", make_config_map("a"))
    before = world.store.revision

    class BrokenError(Exception):
        pass

    def break_in_the_middle() -> None:
        with world.store.transaction() as txn:
            stored = txn.get(world.target("ConfigMap", "a").ref)
            Deletion(txn, world.time).delete(stored)
            assert txn.get(stored.ref) is None
            raise BrokenError

    with pytest.raises(BrokenError):
        break_in_the_middle()
    assert world.get("ConfigMap", "a")
    assert int(world.create("ConfigMap", make_config_map("b"))["metadata"]["resourceVersion"]) == before + 1
