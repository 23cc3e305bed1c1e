"""Kinds that users define: served as soon as their definition is established, and gone with it."""

import asyncio
import copy
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.defined import DefinedKind
from lateen.kube.errors import ApiError
from lateen.kube.records import Ref, load
from lateen.testing.kubeapi import RunningApi, kube_api

DEFINITION: Any = by_kind("CustomResourceDefinition")
CRDS = "customresourcedefinitions.apiextensions.k8s.io"
SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1},
        "max": {"type": "integer", "default": 10},
        "color": {"type": "string", "enum": ["red", "blue"]},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "replicas": {"type": "integer"},
    },
    "x-kubernetes-validations": [
        {"rule": "self.size <= self.max", "message": "size must not exceed max"},
        {"rule": "!has(oldSelf.color) || self.color == oldSelf.color", "message": "color stays", "fieldPath": ".color"},
    ],
}
HEAD = {"apiVersion": "sea.example/v1", "kind": "Boat"}
STATUS: Any = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
BOAT: dict[str, Any] = {
    "metadata": {"name": "boats.sea.example"},
    "spec": {
        "group": "sea.example",
        "scope": "Namespaced",
        "names": {"plural": "boats", "kind": "Boat", "shortNames": ["bt"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "selectableFields": [{"jsonPath": ".spec.color"}],
            },
            {
                "name": "v1beta1",
                "served": True,
                "storage": False,
                "deprecated": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
        ],
    },
}
Check = Callable[[RunningApi], Coroutine[Any, Any, None]]


def run(folder: Path, *checks: Check) -> None:
    """Each check on the API started again on the same folder."""

    async def main() -> None:
        for check in checks:
            async with kube_api(folder) as api:
                await check(api)

    asyncio.run(asyncio.wait_for(main(), 60))


async def define(api: RunningApi, definition: dict[str, Any] = BOAT) -> DefinedKind:
    await api.client.create(DEFINITION, copy.deepcopy(definition))
    plural, _, group = definition["metadata"]["name"].partition(".")
    await until(api, CRDS, lambda: api.live.kinds.by_plural(group, plural) is not None)
    info = api.live.kinds.by_plural(group, plural)
    assert isinstance(info, DefinedKind)
    return info


async def until(api: RunningApi, resource: str, condition: Callable[[], bool]) -> None:
    """Wait for what follows from a change of the resource."""
    with api.live.watching(resource) as changed:
        async with asyncio.timeout(10):
            while not condition():
                await changed.wait()
                changed.clear()


async def refused(call: Coroutine[Any, Any, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await call
    return caught.value


def test_objects_are_pruned_filled_in_and_checked(tmp_path: Path) -> None:
    """As the schema says: unknown fields go, defaults come, what breaks it is refused by its path."""

    async def check(api: RunningApi) -> None:
        boat = await define(api)
        raw = HEAD | {"metadata": {"name": "a"}, "spec": {"size": 3, "mast": 1, "free": {"x": 1}}, "status": {"ready": True}, "more": 1}
        made: Any = await api.client.create(boat, raw, "default")
        assert made["spec"] == {"size": 3, "max": 10, "free": {"x": 1}}
        assert "status" not in made
        assert "more" not in made
        for spec, words in (
            ({}, "spec.size: Required value"),
            ({"size": 0}, "spec.size in body should be greater than or equal to 1"),
            ({"size": "3"}, 'spec.size in body must be of type integer: "string"'),
            ({"size": 1, "color": "green"}, 'supported values: "red", "blue"'),
            ({"size": 11}, 'spec: Invalid value: "object": size must not exceed max'),
        ):
            error = await refused(api.client.create(boat, HEAD | {"metadata": {"name": "b"}, "spec": spec}, "default"))
            assert (error.code, words in str(error.status["message"])) == (422, True), error.status

    run(tmp_path, check)


def test_rules_of_change_and_doors_of_their_own(tmp_path: Path) -> None:
    """A rule with oldSelf counts for changes; status and scale have their doors."""

    async def check(api: RunningApi) -> None:
        boat = await define(api)
        await api.client.create(boat, HEAD | {"metadata": {"name": "a"}, "spec": {"size": 3, "color": "red", "replicas": 2}}, "default")
        error = await refused(api.client.patch(boat, "a", {"spec": {"color": "blue"}}, "default"))
        assert 'spec.color: Invalid value: "object": color stays' in str(error.status["message"])
        await api.client.patch_status(boat, "a", {"ready": True}, "default")
        await refused(api.client.patch_status(boat, "a", {"ready": "yes"}, "default"))
        live: Any = await api.client.patch(boat, "a", {"spec": {"size": 4}, "status": {"ready": False}}, "default")
        assert (live["status"], live["metadata"]["generation"]) == ({"ready": True}, 2)
        path = "/apis/sea.example/v1/namespaces/default/boats/a/scale"
        reply = await api.client._pool.send(
            "PATCH", path, headers={"Content-Type": "application/merge-patch+json"}, body=b'{"spec":{"replicas":5}}'
        )
        assert b'"spec":{"replicas":5}' in await reply.read()
        live = await api.client.get(boat, "a", "default")
        assert live["spec"] == {"size": 4, "max": 10, "color": "red", "replicas": 5}

    run(tmp_path, check)


def test_both_versions_serve_one_object(tmp_path: Path) -> None:
    """A deprecated version answers with a warning; fields that the definition names can be selected."""

    async def check(api: RunningApi) -> None:
        boat = await define(api)
        assert boat.versions == ("v1", "v1beta1")
        for name, color in (("a", "red"), ("b", "blue")):
            await api.client.create(boat, HEAD | {"metadata": {"name": name}, "spec": {"size": 1, "color": color}}, "default")
        old = await api.client._pool.send("GET", "/apis/sea.example/v1beta1/boats")
        assert (await old.read()).count(b'"kind":"Boat","apiVersion":"sea.example/v1beta1"') == 2
        assert old.headers.get("warning") == '299 - "sea.example/v1beta1 Boat is deprecated"'
        red = await api.client._pool.send("GET", "/apis/sea.example/v1/boats?fieldSelector=spec.color%3Dred")
        assert (await red.read()).count(b'"kind":"Boat","apiVersion":"sea.example/v1"') == 1
        assert red.headers.get("warning") is None
        reply = await api.client._pool.send("GET", "/apis/sea.example/v1/boats?fieldSelector=spec.size%3D1")
        assert reply.status == 400
        await reply.read()

    run(tmp_path, check)


def test_a_kind_is_served_again_after_a_restart_and_goes_with_its_definition(tmp_path: Path) -> None:
    """Its objects too, but not before what holds them lets go."""

    async def before(api: RunningApi) -> None:
        boat = await define(api)
        await api.client.create(boat, HEAD | {"metadata": {"name": "free"}, "spec": {"size": 1}}, "default")
        await api.client.create(
            boat, HEAD | {"metadata": {"name": "held", "finalizers": ["sea.example/rope"]}, "spec": {"size": 1}}, "default"
        )

    async def after(api: RunningApi) -> None:
        boat = api.live.kinds.by_plural("sea.example", "boats")
        assert boat is not None
        assert len((await api.client.list(boat)).items) == 2
        await api.client.delete(DEFINITION, "boats.sea.example")
        resource = "boats.sea.example"
        await until(api, resource, lambda: len(api.live.store.list(resource)) == 1)
        assert isinstance(await api.client.get(DEFINITION, "boats.sea.example"), dict)
        error = await refused(api.client.create(boat, HEAD | {"metadata": {"name": "late"}, "spec": {"size": 1}}, "default"))
        assert error.code == 405
        await api.client.patch(boat, "held", {"metadata": {"finalizers": None}}, "default")
        await until(api, CRDS, lambda: api.live.kinds.by_plural("sea.example", "boats") is None)
        assert (await refused(api.client.list(boat))).code == 404

    run(tmp_path, before, after)


def test_names_that_are_taken_are_not_served(tmp_path: Path) -> None:
    """The definition says so, and the kind that was there stays."""

    async def check(api: RunningApi) -> None:
        await define(api)
        other = copy.deepcopy(BOAT)
        other["metadata"]["name"] = "boots.sea.example"
        other["spec"]["names"] = {"plural": "boots", "kind": "Boat"}
        await api.client.create(DEFINITION, other)

        def reasons() -> dict[str, str]:
            status: Any = load(api.live.store.get(Ref(CRDS, "", "boots.sea.example")).body)["status"]  # type: ignore[union-attr]
            return {each["type"]: each["reason"] for each in status["conditions"] or ()}

        await until(api, CRDS, lambda: bool(reasons()))
        assert reasons() == {"NamesAccepted": "ListKindConflict", "Established": "NotAccepted"}
        assert api.live.kinds.by_plural("sea.example", "boots") is None

    run(tmp_path, check)


def test_what_no_api_server_takes_is_refused(tmp_path: Path) -> None:
    """A schema without types, a wrong name, no stored version."""

    async def check(api: RunningApi) -> None:
        cases: tuple[tuple[Callable[[Any], object], str], ...] = (
            (lambda d: d["metadata"].update(name="x.sea.example"), "metadata.name"),
            (lambda d: d["spec"].update(scope="Sea"), "spec.scope"),
            (lambda d: d["spec"]["versions"][0].update(storage=False), "spec.versions"),
            (lambda d: d["spec"]["versions"][0].pop("schema"), "spec.versions[0].schema.openAPIV3Schema"),
            (lambda d: d["spec"].update(conversion={"strategy": "Webhook"}), "spec.conversion.strategy"),
        )
        for change, field in cases:
            wrong = copy.deepcopy(BOAT)
            change(wrong)
            error = await refused(api.client.create(DEFINITION, wrong))
            details: Any = error.status["details"]
            assert error.code == 422
            assert field in [cause["field"] for cause in details["causes"]]

    run(tmp_path, check)
