"""What is seen before, while and after a write becomes durable."""

from typing import Any

import pytest

from lateen.kube.errors import ApiError
from lateen.kube.options import DeleteOptions
from lateen.kube.watch import Watch


def stage(world: Any, name: str, data: dict[str, str]) -> Any:
    return world.registry.create(world.target("ConfigMap"), {"metadata": {"name": name}, "data": data})


def commit(world: Any, written: Any) -> None:
    world.store.commit(written.changes, written.changes[-1].stored.rv)


def test_staged_changes_are_unseen_until_they_are_durable(world: Any) -> None:
    """Readers and watchers must not see what a crash could still undo; writers build on it."""
    watch = Watch(world.store, "configmaps")
    watch.start_now()
    first = stage(world, "a", {"x": "1"})
    assert world.get("ConfigMap", "a") is None
    assert world.names("configmaps") == []
    assert list(watch.pull()) == []
    with pytest.raises(ApiError):
        stage(world, "a", {})
    second = world.registry.modify(world.target("ConfigMap", "a"), lambda obj: obj | {"data": {"x": "2"}})
    third = world.registry.delete(world.target("ConfigMap", "a"), DeleteOptions())
    commit(world, first)
    assert world.get("ConfigMap", "a")["data"] == {"x": "1"}
    commit(world, second)
    assert world.get("ConfigMap", "a")["data"] == {"x": "2"}
    assert world.names("configmaps") == ["a"]
    commit(world, third)
    assert world.get("ConfigMap", "a") is None
    assert [event.type for event in watch.pull()] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_failed_write_is_forgotten_with_all_that_was_built_on_it(world: Any) -> None:
    """The store is as it was, and goes on from the same revision."""
    world.create("ConfigMap", {"metadata": {"name": "kept"}})
    before = world.store.revision
    stage(world, "a", {})
    world.registry.modify(world.target("ConfigMap", "kept"), lambda obj: obj | {"data": {"x": "2"}})
    world.registry.delete(world.target("ConfigMap", "kept"), DeleteOptions())
    world.store.abort()
    assert world.names("configmaps") == ["kept"]
    assert world.get("ConfigMap", "kept").get("data") is None
    made = world.create("ConfigMap", {"metadata": {"name": "b"}})
    assert int(made["metadata"]["resourceVersion"]) == before + 1
