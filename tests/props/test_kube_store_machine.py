"""The store against a simple model, over restarts from its file.

Any sequence of creates, updates, deletions, failed writes and restarts gives: the objects of the model; one revision per change,
growing; and watchers, resumed from any revision they saw, that end with the same objects.
"""

import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from lateen.api.kinds import by_kind
from lateen.kube.admission import admit_all
from lateen.kube.errors import ApiError
from lateen.kube.options import DeleteOptions
from lateen.kube.paths import Target
from lateen.kube.records import Ref, load
from lateen.kube.registry import Registry, Surroundings, Written
from lateen.kube.selectors import select
from lateen.kube.store import Store
from lateen.kube.watch import Watch
from lateen.sources.sqlite import SqliteFile

CONFIG_MAP: Any = by_kind("ConfigMap")
NAMESPACE: Any = by_kind("Namespace")
NAMES = st.sampled_from(["a", "b", "c", "d"])
TIERS = st.sampled_from(["front", "back"])
NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Follower:
    """A watcher's own copy, for all objects or for a selection."""

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.objects: dict[str, dict[str, Any]] = {}
        self.revision = 0
        self.watch: Watch | None = None

    def attach(self, store: Store) -> None:
        self.watch = Watch(store, "configmaps", "default", select("configmaps", self.labels, ""))
        self.watch.start_at(self.revision)

    def pull(self) -> None:
        assert self.watch is not None
        for event in self.watch.pull():
            assert event.stored.rv > self.revision
            self.revision = event.stored.rv
            name, obj = event.stored.ref.name, load(event.stored.body)
            if event.type == "DELETED":
                assert self.objects.pop(name, None) is not None
            else:
                assert (name in self.objects) is (event.type == "MODIFIED")
                self.objects[name] = obj
        self.revision = self.watch.revision


class StoreMachine(RuleBasedStateMachine):
    """Every step is one request; `staged` ones become durable later or never."""

    revisions = Bundle("revisions")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.uids = count()
        self.model: dict[str, tuple[str, str, str]] = {}  # name -> tier, value, owner
        self.followers = [Follower(""), Follower("tier=front")]
        self.open()

    def open(self) -> None:
        self.file = SqliteFile(Path(self.folder.name) / "mesh.db")
        self.store = Store(self.file.load())
        around = Surroundings(lambda: NOW, lambda: f"uid-{next(self.uids)}", lambda: "x", admit_all)
        self.registry = Registry(self.store, around)
        for follower in self.followers:
            follower.attach(self.store)

    @initialize()
    def namespace(self) -> None:
        self.persist(self.registry.create(Target(NAMESPACE, "v1"), {"metadata": {"name": "default"}}))

    def persist(self, *written: Written) -> None:
        changes = [change for one in written for change in one.changes]
        if changes:
            revision = changes[-1].stored.rv
            assert [change.stored.rv for change in changes] == list(range(self.store.revision + 1, revision + 1))
            self.file.write(changes, revision, {})
            self.store.commit(changes, revision)

    def target(self, name: str = "") -> Target:
        return Target(CONFIG_MAP, "v1", "default", name)

    def make(self, name: str, tier: str, value: str, owner: str) -> Written:
        metadata: dict[str, Any] = {"name": name, "labels": {"tier": tier}}
        if owner:
            stored = self.store.get(Ref("configmaps", "default", owner))
            assert stored is not None
            metadata["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": stored.uid}]
        return self.registry.create(self.target(), {"metadata": metadata, "data": {"v": value}})

    @rule(name=NAMES, tier=TIERS, value=st.sampled_from("xyz"), owner=st.one_of(st.none(), NAMES))
    def create(self, name: str, tier: str, value: str, owner: str | None) -> None:
        parent = owner if owner in self.model and owner != name else ""
        if name in self.model:
            try:
                self.make(name, tier, value, "")
            except ApiError as refused:
                assert refused.reason == "AlreadyExists"  # noqa: PT017  the machine goes on
                return
            raise AssertionError("created twice")
        self.persist(self.make(name, tier, value, parent or ""))
        self.model[name] = (tier, value, parent or "")

    @rule(name=NAMES, tier=TIERS, value=st.sampled_from("xyz"))
    def update(self, name: str, tier: str, value: str) -> None:
        if name not in self.model:
            return

        def change(obj: dict[str, Any]) -> dict[str, Any]:
            obj["metadata"]["labels"] = {"tier": tier}
            obj["data"] = {"v": value}
            return obj

        written = self.registry.modify(self.target(name), change)
        assert bool(written.changes) is (self.model[name][:2] != (tier, value))
        self.persist(written)
        self.model[name] = (tier, value, self.model[name][2])

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name not in self.model:
            return
        self.persist(self.registry.delete(self.target(name), DeleteOptions()))
        gone = {name}
        while more := {child for child, (_, _, owner) in self.model.items() if owner in gone and child not in gone}:
            gone |= more
        for each in gone:
            del self.model[each]

    @rule(name=NAMES, value=st.sampled_from("xyz"), then=st.booleans())
    def fail_to_write(self, name: str, value: str, then: bool) -> None:  # noqa: FBT001
        """Staged changes, also ones built on each other, whose batch the disk refuses."""
        if name in self.model:
            self.registry.modify(self.target(name), lambda obj: obj | {"data": {"v": value + "!"}})
            if then:
                self.registry.delete(self.target(name), DeleteOptions())
        else:
            self.make(name, "front", value, "")
            if then:
                self.registry.modify(self.target(name), lambda obj: obj | {"data": {}})
        self.store.abort()

    @rule(first=NAMES, second=NAMES)
    def write_two_in_one_batch(self, first: str, second: str) -> None:
        """The second is staged before the first is durable."""
        if first in self.model or first == second:
            return
        one = self.make(first, "front", "x", "")
        parts = [one]
        if second in self.model:
            parts.append(self.registry.modify(self.target(second), lambda obj: obj | {"data": {"v": "batch"}}))
            self.model[second] = (self.model[second][0], "batch", self.model[second][2])
        assert self.store.get(Ref("configmaps", "default", first)) is None
        self.persist(*parts)
        self.model[first] = ("front", "x", "")

    @rule()
    def restart(self) -> None:
        self.file.close()
        self.open()

    @rule(target=revisions)
    def remember(self) -> tuple[int, dict[str, str]]:
        return self.store.revision, self.values()

    @rule(past=consumes(revisions))
    def replay(self, past: tuple[int, dict[str, str]]) -> None:
        """Whoever knew the objects at a revision knows them now, from the events since."""
        revision, values = past
        watch = Watch(self.store, "configmaps", "default")
        watch.start_at(revision)
        for event in watch.pull():
            if event.type == "DELETED":
                values.pop(event.stored.ref.name)
            else:
                values[event.stored.ref.name] = str(load(event.stored.body)["data"])
        assert values == self.values()

    @rule(which=st.integers(0, 1))
    def follow(self, which: int) -> None:
        follower = self.followers[which]
        follower.pull()
        wanted = {name: value for name, (tier, value, _) in self.model.items() if not follower.labels or tier == "front"}
        assert {name: obj["data"]["v"] for name, obj in follower.objects.items()} == wanted

    def values(self) -> dict[str, str]:
        return {stored.ref.name: str(load(stored.body)["data"]) for stored in self.store.list("configmaps", "default")}

    @invariant()
    def same_as_the_model(self) -> None:
        found = {}
        for stored in self.store.list("configmaps"):
            obj: Any = load(stored.body)
            owners = obj["metadata"].get("ownerReferences", [{"name": ""}])
            found[stored.ref.name] = (obj["metadata"]["labels"]["tier"], obj["data"]["v"], owners[0]["name"])
            assert stored.rv <= self.store.revision
        assert found == self.model

    def teardown(self) -> None:
        self.file.close()
        self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
