"""Watches: resuming, selecting, forgetting."""

from typing import Any

import pytest

from lateen.kube.errors import ApiError
from lateen.kube.history import History
from lateen.kube.records import Change, Ref, Stored
from lateen.kube.selectors import select
from lateen.kube.watch import Watch


def told(events: Any) -> list[tuple[str, str]]:
    return [(event.type, event.stored.ref.name) for event in events]


def test_a_watch_resumes_after_a_revision(world: Any, make_config_map: Any) -> None:
    """Everything after it, nothing before, in order; an empty pull when nothing is new."""
    world.create("ConfigMap", make_config_map("a"))
    watch = Watch(world.store, "configmaps")
    watch.start_at(world.store.revision)
    world.create("ConfigMap", make_config_map("b"))
    world.update("ConfigMap", "a", lambda obj: obj["data"].update(a="2"))
    world.delete("ConfigMap", "b")
    assert told(watch.pull()) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    assert told(watch.pull()) == []
    assert watch.revision == world.store.revision


def test_a_watch_without_revision_begins_with_what_is_there(world: Any, make_config_map: Any) -> None:
    """Synthetic ADDED in order of keys, then changes, without a gap or a double."""
    for name in ("b", "a"):
        world.create("ConfigMap", make_config_map(name))
    watch = Watch(world.store, "configmaps")
    assert told(watch.start_now()) == [("ADDED", "a"), ("ADDED", "b")]
    world.delete("ConfigMap", "a")
    assert told(watch.pull()) == [("DELETED", "a")]


def test_a_watch_of_one_namespace_hears_only_that(world: Any, make_config_map: Any) -> None:
    """Others of the same kind stay silent."""
    world.create("Namespace", {"metadata": {"name": "shop"}}, "")
    watch = Watch(world.store, "configmaps", "shop")
    watch.start_at(world.store.revision)
    world.create("ConfigMap", make_config_map("a"))
    world.create("ConfigMap", make_config_map("b"), "shop")
    assert told(watch.pull()) == [("ADDED", "b")]


def test_a_selection_turns_changes_into_coming_and_going(world: Any, make_config_map: Any) -> None:
    """Starts to match: ADDED. Stops: DELETED, carrying the state that matched under the new revision."""
    watch = Watch(world.store, "configmaps", selection=select("configmaps", "tier=front", ""))
    watch.start_now()
    world.create("ConfigMap", make_config_map("a"))
    assert told(watch.pull()) == []
    world.update("ConfigMap", "a", lambda obj: obj["metadata"].update(labels={"tier": "front"}))
    assert told(watch.pull()) == [("ADDED", "a")]
    world.update("ConfigMap", "a", lambda obj: obj["data"].update(a="2"))
    assert told(watch.pull()) == [("MODIFIED", "a")]
    left = world.update("ConfigMap", "a", lambda obj: obj["metadata"].update(labels={"tier": "back"}))
    (event,) = watch.pull()
    assert event.type == "DELETED"
    body = world.body(event.stored)
    assert body["metadata"]["labels"] == {"tier": "front"}
    assert body["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
    world.delete("ConfigMap", "a")
    assert told(watch.pull()) == []


def change(revision: int, size: int = 10) -> Change:
    stored = Stored(Ref("configmaps", "d", f"n{revision}"), revision, f"u{revision}", {}, {}, (), False, b"x" * size)
    return Change("ADDED", stored, None)


def test_history_forgets_by_count_and_says_so() -> None:
    """410 Expired for what is gone; exactly at the floor a watch may still resume."""
    history = History(max_changes=8, max_bytes=1 << 20)
    moved = [history.append(change(revision)) for revision in range(1, 12)]
    assert moved.count(True) == 1
    assert history.floor == 3
    with pytest.raises(ApiError) as gone:
        history.since(2)
    assert (gone.value.code, gone.value.reason) == (410, "Expired")
    assert [c.stored.rv for c in history.since(3)] == list(range(4, 12))


def test_history_forgets_by_size() -> None:
    """Large objects shorten the history, never the newest change."""
    history = History(max_changes=1000, max_bytes=1000)
    for revision in range(1, 20):
        history.append(change(revision, 300))
    assert 0 < len(history.since(history.floor)) <= 3
    history.append(change(20, 5000))
    assert [c.stored.rv for c in history.since(history.floor)] == [20]


def test_busy_kinds_do_not_expire_others(world: Any, make_config_map: Any) -> None:
    """Each kind has a history of its own."""
    world.create("Service", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    start = world.store.revision
    world.create("ConfigMap", make_config_map("a"))
    for n in range(5000):
        world.update("ConfigMap", "a", lambda obj, n=n: obj["data"].update(a=str(n)))
    Watch(world.store, "services").start_at(start)
    with pytest.raises(ApiError):
        Watch(world.store, "configmaps").start_at(start)
