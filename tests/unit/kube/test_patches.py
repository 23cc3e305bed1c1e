"""JSON patch, merge patch, strategic merge patch."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from lateen.kube.errors import ApiError
from lateen.kube.patch import json_patch, merge_patch
from lateen.kube.strategic import strategic_patch


def containers(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(items), **more}}}}


def names(obj: dict[str, Any]) -> list[str]:
    return [container["name"] for container in obj["spec"]["template"]["spec"]["containers"]]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_merge_patch(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    """RFC 7386, and neither side is changed."""
    before = copy.deepcopy((target, patch))
    assert merge_patch(target, patch) == result
    assert (target, patch) == before


def test_json_patch_applies_or_refuses() -> None:
    """400 for what is no patch, 422 for one that does not fit, as Kubernetes."""
    assert json_patch({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}, {"op": "test", "path": "/a/1", "value": 2}]) == {"a": [1, 2]}
    for nonsense in ({"op": 1}, [1], [{"op": "jump", "path": "/a"}], [{"op": "add"}], "x", None):
        with pytest.raises(ApiError) as refused:
            json_patch({"a": 1}, nonsense)
        assert refused.value.code == 400
    misfits = [
        {"op": "remove", "path": "/zz"},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "replace", "path": "a", "value": 2},
        {"op": "add", "path": "", "value": 2},
        {"op": "move", "path": "/b"},
        {"op": "add", "path": "/a/b/c", "value": 1},
    ]
    for misfit in misfits:
        with pytest.raises(ApiError) as refused:
            json_patch({"a": 1}, [misfit])
        assert refused.value.code == 422, misfit


def test_a_json_patch_bomb_is_refused() -> None:
    """Copies of copies double; a hundred of them fill any memory."""
    bomb = [{"op": "copy", "from": "/a", "path": "/a/b"}] * 101
    with pytest.raises(ApiError) as refused:
        json_patch({"a": {}}, bomb)
    assert refused.value.code == 413


def test_lists_are_merged_by_their_key() -> None:
    """A named container is changed in place, a new one goes before, others stay."""
    target = containers({"name": "a", "image": "1", "env": [{"name": "E", "value": "1"}]}, {"name": "b", "image": "1"})
    patch = containers({"name": "a", "image": "2", "env": [{"name": "F", "value": "2"}]}, {"name": "n", "image": "9"})
    result = strategic_patch("deployments.apps", target, patch)
    assert names(result) == ["n", "a", "b"]
    changed = result["spec"]["template"]["spec"]["containers"][1]  # type: ignore[index]
    assert changed == {"name": "a", "image": "2", "env": [{"name": "F", "value": "2"}, {"name": "E", "value": "1"}]}
    assert names(target) == ["a", "b"]


def test_directives() -> None:
    """Delete and replace, for elements, lists and maps."""
    target = containers({"name": "a"}, {"name": "b"})
    assert names(strategic_patch("deployments.apps", target, containers({"name": "b", "$patch": "delete"}))) == ["a"]
    assert names(strategic_patch("deployments.apps", target, containers({"name": "z"}, {"$patch": "replace"}))) == ["z"]
    retained = strategic_patch(
        "deployments.apps",
        {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}},
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
    )
    assert retained == {"spec": {"strategy": {"type": "Recreate"}}}
    replaced = strategic_patch("pods", {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}})
    assert replaced == {"metadata": {"labels": {"b": "2"}}}
    primitive = strategic_patch(
        "pods", {"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    )
    assert primitive == {"metadata": {"finalizers": ["b"]}}
    assert strategic_patch("pods", {"metadata": {"finalizers": ["a"]}}, {"metadata": {"finalizers": ["b"]}}) == {
        "metadata": {"finalizers": ["a", "b"]}
    }


def test_order_is_the_patchs_where_it_says_one() -> None:
    """$setElementOrder; elements that it does not name keep their place behind their predecessor."""
    target = containers({"name": "a"}, {"name": "x"}, {"name": "b"})
    patch: Any = containers({"name": "n"})
    patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = [{"name": "b"}, {"name": "n"}, {"name": "a"}]
    assert names(strategic_patch("deployments.apps", target, patch)) == ["b", "n", "a", "x"]


def test_ports_are_keyed_by_kind() -> None:
    """A Service's by port, a container's by containerPort, an EndpointSlice's not at all."""
    service = strategic_patch(
        "services", {"spec": {"ports": [{"port": 80, "name": "h"}, {"port": 81}]}}, {"spec": {"ports": [{"port": 80, "targetPort": 9}]}}
    )
    assert service == {"spec": {"ports": [{"port": 80, "name": "h", "targetPort": 9}, {"port": 81}]}}
    endpoints = strategic_patch("endpointslices.discovery.k8s.io", {"ports": [{"port": 1}]}, {"ports": [{"port": 2}]})
    assert endpoints == {"ports": [{"port": 2}]}


def test_two_ports_of_one_number_survive_a_patch_of_another() -> None:
    """DNS has 53 for TCP and for UDP."""
    both = [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]
    result: Any = strategic_patch("services", {"spec": {"ports": both}}, {"spec": {"ports": [{"port": 80}]}})
    assert [p for p in result["spec"]["ports"] if p["port"] == 53] == both


def test_a_missing_key_is_the_servers_error() -> None:
    """500 with Kubernetes' sentence."""
    with pytest.raises(ApiError) as refused:
        strategic_patch("deployments.apps", containers({"name": "a"}), containers({"image": "z:1"}))
    assert refused.value.message == "map: map[image:z:1] does not contain declared merge key: name"
    with pytest.raises(ApiError):
        strategic_patch("pods", {}, [1])


RECORDED = [
    "smp-bad-no-mergekey",
    "smp-delete-container-directive",
    "smp-deleteFromPrimitiveList",
    "smp-endpointslice-endpoints-atomic",
    "smp-retainKeys",
    "smp-service-port-merge",
    "smp-setElementOrder",
]


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_patches_give_the_recorded_objects(shared_cases: Path, name: str) -> None:
    """The patched part of each recorded answer comes out again when the patch is applied to what was there before."""
    case = json.loads((shared_cases / "kube-api" / "ssa" / f"{name}.json").read_text())
    resource = {"services": "services", "deployments": "deployments.apps", "endpointslices": "endpointslices.discovery.k8s.io"}[
        case["request"]["path"].split("?")[0].split("/")[-2]
    ]
    patch, answer = case["request"]["body"], case["response"]["body"]
    if case["response"]["status"] == 500:
        with pytest.raises(ApiError) as refused:
            strategic_patch(resource, containers({"name": "a"}), patch)
        assert refused.value.message == answer["message"]
        return
    again = strategic_patch(resource, answer, patch)  # a patch applied twice changes nothing more
    assert {k: again[k] for k in again if k != "metadata"} == {k: answer[k] for k in answer if k != "metadata"} or "endpoints" in answer
    if "endpoints" in answer:
        assert again["endpoints"] == patch["endpoints"]
