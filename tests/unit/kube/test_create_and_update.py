"""What the registry does to objects on the way in."""

from typing import Any

import pytest

from lateen.kube.admission import AdmissionError, AdmissionResult
from lateen.kube.errors import ApiError


def test_create_gives_uid_revision_generation_and_time(world: Any, make_config_map: Any) -> None:
    """A new object has everything that only the server may say, whatever its writer claimed."""
    made = world.create("ConfigMap", make_config_map("a", uid="mine", resourceVersion="99", generation=7, creationTimestamp="x"))
    meta = made["metadata"]
    assert meta["uid"].startswith("uid-")
    assert "generation" not in meta  # of kinds with a specification only
    assert meta["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert int(meta["resourceVersion"]) == world.store.revision
    assert meta["namespace"] == "default"


def test_revisions_grow_over_all_kinds(world: Any, make_config_map: Any) -> None:
    """One counter for everything."""
    first = world.create("ConfigMap", make_config_map("a"))
    second = world.create("Service", {"metadata": {"name": "b"}, "spec": {"ports": [{"port": 80}]}})
    assert int(second["metadata"]["resourceVersion"]) == int(first["metadata"]["resourceVersion"]) + 1


def test_generate_name_adds_a_suffix(world: Any) -> None:
    """GenerateName makes a name; a given name wins."""
    assert world.create("ConfigMap", {"metadata": {"generateName": "gen-"}})["metadata"]["name"] == "gen-x0001"
    assert world.create("ConfigMap", {"metadata": {"generateName": "gen-", "name": "own"}})["metadata"]["name"] == "own"


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({}, "metadata.name"),
        ({"name": "Bad_Name"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"name": "x", "labels": {"a": "b c"}}, "metadata.labels"),
        ({"name": "x", "labels": {"/": "b"}}, "metadata.labels"),
        ({"name": "x", "labels": {"a": 1}}, "metadata.labels"),
        ({"name": "x", "annotations": []}, "metadata.annotations"),
        ({"name": "x", "ownerReferences": [{"name": "y"}]}, "metadata.ownerReferences.apiVersion"),
        ({"name": "x", "finalizers": [1]}, "metadata.finalizers"),
    ],
)
def test_bad_metadata_is_refused_by_field(world: Any, metadata: dict[str, Any], field: str) -> None:
    """422 Invalid, and the first cause names the field; nothing is stored."""
    with pytest.raises(ApiError) as refused:
        world.create("ConfigMap", {"metadata": metadata})
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    details: Any = refused.value.status["details"]
    assert details["causes"][0]["field"] == field
    assert world.names("configmaps") == []


def test_a_service_name_is_stricter(world: Any) -> None:
    """Services are host names: no dot, no digit first."""
    with pytest.raises(ApiError, match="DNS-1035"):
        world.create("Service", {"metadata": {"name": "1a"}, "spec": {}})


def test_create_needs_its_namespace(world: Any, make_config_map: Any) -> None:
    """404 names the namespace, not the object."""
    with pytest.raises(ApiError) as refused:
        world.create("ConfigMap", make_config_map("a"), "nowhere")
    assert refused.value.status["message"] == 'namespaces "nowhere" not found'


def test_create_twice_conflicts(world: Any, make_config_map: Any) -> None:
    """409 AlreadyExists, and the first stays as it is."""
    world.create("ConfigMap", make_config_map("a"))
    with pytest.raises(ApiError) as refused:
        world.create("ConfigMap", make_config_map("a", {"b": "2"}))
    assert refused.value.reason == "AlreadyExists"
    assert world.get("ConfigMap", "a")["data"] == {"a": "1"}


def test_namespaces_get_their_label_and_phase(world: Any) -> None:
    """Selectors of namespaces count on kubernetes.io/metadata.name."""
    made = world.create("Namespace", {"metadata": {"name": "shop", "labels": {"a": "b"}}, "status": {"phase": "Nonsense"}}, "")
    assert made["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "shop"}
    assert made["status"] == {"phase": "Active"}


def test_string_data_becomes_data(world: Any) -> None:
    """StringData is write-only sugar of Secrets."""
    made = world.create("Secret", {"metadata": {"name": "s"}, "stringData": {"p": "q"}, "data": {"x": "eA=="}})
    assert made["data"] == {"x": "eA==", "p": "cQ=="}
    assert "stringData" not in made
    assert made["type"] == "Opaque"


def test_status_is_dropped_from_create_and_update(world: Any) -> None:
    """Status is written only through its subresource, which in turn writes nothing else."""
    rule = {"metadata": {"name": "v"}, "spec": {"hosts": ["a"]}, "status": {"conditions": []}}
    assert "status" not in world.create("VirtualService", rule)
    assert "status" not in world.update("VirtualService", "v", lambda obj: obj | {"status": {"x": 1}})
    told = {"observedGeneration": 1}
    written = world.update(
        "VirtualService",
        "v",
        lambda obj: obj | {"status": told, "spec": {"hosts": ["b"]}, "metadata": obj["metadata"] | {"labels": {"l": "1"}}},
        subresource="status",
    )
    assert written["status"] == told
    assert written["spec"] == {"hosts": ["a"]}
    assert "labels" not in written["metadata"]
    assert world.update("VirtualService", "v", lambda obj: {"metadata": obj["metadata"], "spec": obj["spec"]})["status"] == told


def test_generation_follows_the_spec_only(world: Any) -> None:
    """Labels and status leave it, a changed spec raises it by one."""
    world.create("VirtualService", {"metadata": {"name": "v"}, "spec": {"hosts": ["a"]}})
    assert world.update("VirtualService", "v", lambda obj: obj["metadata"].update(labels={"a": "b"}))["metadata"]["generation"] == 1
    status = {"observedGeneration": 1}
    assert world.update("VirtualService", "v", lambda o: o.update(status=status), subresource="status")["metadata"]["generation"] == 1
    assert world.update("VirtualService", "v", lambda obj: obj["spec"].update(hosts=["b"]))["metadata"]["generation"] == 2


def test_an_update_that_changes_nothing_is_no_event(world: Any, make_config_map: Any) -> None:
    """The revision stays, whatever the order of the fields."""
    made = world.create("ConfigMap", make_config_map("a", {"x": "1", "y": "2"}))
    before = world.store.revision
    again = world.update("ConfigMap", "a", lambda obj: {"data": {"y": "2", "x": "1"}, "metadata": obj["metadata"]})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    assert world.store.revision == before


def test_true_is_not_one(world: Any) -> None:
    """A value that changes its type changes, though Python calls the two equal."""
    world.create("VirtualService", {"metadata": {"name": "v"}, "spec": {"hosts": ["a"]}})
    one = world.update("VirtualService", "v", lambda obj: obj | {"status": {"x": 1}}, subresource="status")
    true = world.update("VirtualService", "v", lambda obj: obj | {"status": {"x": True}}, subresource="status")
    assert true["status"]["x"] is True
    assert one["metadata"]["resourceVersion"] != true["metadata"]["resourceVersion"]


def test_a_stale_revision_conflicts(world: Any, make_config_map: Any) -> None:
    """Optimistic concurrency: the second writer of the same revision gets 409."""
    made = world.create("ConfigMap", make_config_map("a"))
    world.update("ConfigMap", "a", lambda _: make_config_map("a", {"a": "2"}, resourceVersion=made["metadata"]["resourceVersion"]))
    with pytest.raises(ApiError) as refused:
        world.update("ConfigMap", "a", lambda _: make_config_map("a", {"a": "3"}, resourceVersion=made["metadata"]["resourceVersion"]))
    assert refused.value.reason == "Conflict"
    assert world.get("ConfigMap", "a")["data"] == {"a": "2"}


def test_an_update_of_another_uid_conflicts(world: Any, make_config_map: Any) -> None:
    """The object was deleted and made again under its writer's feet."""
    world.create("ConfigMap", make_config_map("a"))
    with pytest.raises(ApiError, match="UID"):
        world.update("ConfigMap", "a", lambda _: make_config_map("a", {"a": "3"}, uid="other"))


def test_name_and_namespace_cannot_change(world: Any, make_config_map: Any) -> None:
    """400 for a body that names another object than the URL."""
    world.create("ConfigMap", make_config_map("a"))
    with pytest.raises(ApiError, match="does not match the name on the URL"):
        world.update("ConfigMap", "a", lambda _: make_config_map("b"))
    with pytest.raises(ApiError, match="namespace"):
        world.update("ConfigMap", "a", lambda _: make_config_map("a", namespace="other"))
    with pytest.raises(ApiError, match="namespace"):
        world.create("ConfigMap", make_config_map("c", namespace="other"))


def test_a_deployments_selector_is_fixed(world: Any) -> None:
    """Changing it would orphan its pods."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    made = world.create("Deployment", {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}})
    assert made["spec"]["replicas"] == 1
    with pytest.raises(ApiError, match="immutable"):
        world.update("Deployment", "d", lambda obj: obj["spec"].update(selector={"matchLabels": {"a": "c"}}))


def test_dry_run_changes_nothing(world: Any, make_config_map: Any) -> None:
    """The answer is what would be stored; the store does not move, and the next write gets the same revision."""
    before = world.store.revision
    assert world.create("ConfigMap", make_config_map("a"), dry_run=True)["metadata"]["uid"]
    assert world.get("ConfigMap", "a") is None
    assert world.store.revision == before
    assert int(world.create("ConfigMap", make_config_map("a"))["metadata"]["resourceVersion"]) == before + 1
    world.update("ConfigMap", "a", lambda obj: obj["data"].update(a="2"), dry_run=True)
    world.delete("ConfigMap", "a", dry_run=("All",))
    assert world.get("ConfigMap", "a")["data"] == {"a": "1"}


def test_unknown_fields_are_dropped_warned_or_refused(world: Any) -> None:
    """fieldValidation: Strict refuses by path, Warn drops with a warning, Ignore drops in silence."""
    rule = {"metadata": {"name": "v"}, "spec": {"hosts": ["a"], "bogus": 1, "http": [{"retires": {}, "route": []}]}}
    target = world.target("VirtualService")
    with pytest.raises(ApiError, match=r'strict decoding error: .*unknown field "spec.bogus"'):
        world.create("VirtualService", rule, validation="Strict")
    from lateen.kube.options import WriteOptions

    warned = world.registry.create(target, {"metadata": {"name": "w"}, "spec": {"hosts": ["a"], "bogus": 1}}, WriteOptions())
    assert warned.warnings == ('unknown field "spec.bogus"',)
    assert "bogus" not in world.body(warned.stored)["spec"]
    silent = world.registry.create(target, {"metadata": {"name": "i"}, "spec": {"hosts": [], "x": 1}}, WriteOptions(validation="Ignore"))
    assert silent.warnings == ()


def test_a_value_of_the_wrong_type_is_refused(world: Any) -> None:
    """Custom kinds answer 422 with the field, built-in ones 400, as Kubernetes."""
    with pytest.raises(ApiError) as refused:
        world.create("VirtualService", {"metadata": {"name": "v"}, "spec": {"hosts": "a"}})
    details: Any = refused.value.status["details"]
    assert (refused.value.code, details["causes"][0]["field"]) == (422, "spec.hosts")
    with pytest.raises(ApiError) as refused:
        world.create("ConfigMap", {"metadata": {"name": "v"}, "data": {"a": 1}})
    assert refused.value.code == 400


def test_admission_changes_warns_and_refuses(make_world: Any) -> None:
    """What the composition root passes in has the last word on what is stored."""

    def admission(operation: str, info: Any, new: Any, old: Any) -> AdmissionResult:
        if operation == "DELETE":
            return AdmissionResult(errors=(AdmissionError("it is needed"),))
        if new["data"].get("a") == "bad":
            return AdmissionResult(errors=(AdmissionError("a is bad", "data.a"),))
        return AdmissionResult(new | {"data": new["data"] | {"by": operation}}, ("watch out",))

    world = make_world(lambda op, info, new, old: admission(op, info, new, old) if info.kind == "ConfigMap" else AdmissionResult())
    assert world.create("ConfigMap", {"metadata": {"name": "a"}, "data": {}})["data"] == {"by": "CREATE"}
    assert world.update("ConfigMap", "a", lambda obj: obj["data"].update(x="y"))["data"] == {"by": "UPDATE", "x": "y"}
    with pytest.raises(ApiError, match=r'ConfigMap "a" is invalid: data.a: a is bad'):
        world.update("ConfigMap", "a", lambda obj: obj["data"].update(a="bad"))
    with pytest.raises(ApiError, match="is forbidden: it is needed"):
        world.delete("ConfigMap", "a")
