"""A store with a clock and names of the test's own."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.admission import Admission, admit_all
from lateen.kube.options import DeleteOptions, WriteOptions
from lateen.kube.paths import Target
from lateen.kube.records import Change, Ref, Stored, load
from lateen.kube.registry import Registry, Surroundings, Written
from lateen.kube.store import Store


class World:
    """A store and its registry; every write is committed at once."""

    def __init__(self, admission: Admission = admit_all) -> None:
        self.store = Store()
        self.time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        uids, suffixes = count(1), count(1)
        around = Surroundings(
            now=lambda: self.time,
            new_uid=lambda: f"uid-{next(uids)}",
            new_suffix=lambda: f"x{next(suffixes):04}",
            admission=admission,
        )
        self.registry = Registry(self.store, around)
        self.create("Namespace", {"metadata": {"name": "default"}}, "")

    def target(self, kind: str, name: str = "", namespace: str = "default", subresource: str = "") -> Target:
        info = by_kind(kind)
        assert info is not None
        return Target(info, info.versions[0], namespace if info.namespaced else "", name, subresource)

    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def committed(self, written: Written) -> Written:
        if written.changes:
            self.store.commit(written.changes, written.changes[-1].stored.rv)
        return written

    def create(self, kind: str, obj: dict[str, Any], namespace: str = "default", **options: Any) -> dict[str, Any]:
        return self.body(self.committed(self.registry.create(self.target(kind, "", namespace), obj, WriteOptions(**options))).stored)

    def update(
        self,
        kind: str,
        name: str,
        change: Callable[[dict[str, Any]], Any],
        namespace: str = "default",
        subresource: str = "",
        **options: Any,
    ) -> dict[str, Any]:
        """`change` edits the object in place, or returns another one."""

        def apply(obj: dict[str, Any]) -> dict[str, Any]:
            result = change(obj)
            return result if isinstance(result, dict) else obj

        target = self.target(kind, name, namespace, subresource)
        return self.body(self.committed(self.registry.modify(target, apply, WriteOptions(**options))).stored)

    def delete(self, kind: str, name: str, namespace: str = "default", **options: Any) -> Written:
        return self.committed(self.registry.delete(self.target(kind, name, namespace), DeleteOptions(**options)))

    def get(self, kind: str, name: str, namespace: str = "default") -> dict[str, Any] | None:
        stored = self.store.get(self.target(kind, name, namespace).ref)
        return self.body(stored) if stored else None

    def names(self, resource: str, namespace: str = "") -> list[str]:
        return [stored.ref.name for stored in self.store.list(resource, namespace)]

    @staticmethod
    def body(stored: Stored) -> dict[str, Any]:
        return load(stored.body)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def make_world() -> type[World]:
    return World


def config_map(name: str, data: Mapping[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": dict(data or {"a": "1"})}


@pytest.fixture
def make_config_map() -> Callable[..., dict[str, Any]]:
    return config_map


@pytest.fixture
def described() -> Callable[[list[Change]], list[tuple[str, Ref]]]:
    return lambda changes: [(change.type, change.stored.ref) for change in changes]
