"""Any request gets an answer of the right kind: never a traceback, a hang or a half-written object."""

import asyncio
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.testing.kubedoor import Door

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = ["metadata", "spec", "status", "data", "kind", "apiVersion", "ports", "name", "labels", "finalizers", "ownerReferences", "$patch"]
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5)
NAMED = st.builds(lambda name, more: {"metadata": {"name": name}} | more, st.sampled_from("abc"), OBJECTS)
DEEP = st.builds(lambda a, b: {"metadata": {"name": "a", **b}, "spec": a}, OBJECTS, OBJECTS)
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "test", "copy", "move"]),
            "path": st.sampled_from(["", "/", "/spec", "/metadata/name", "/a~2"]),
        },
        optional={"value": JSON, "from": st.sampled_from(["/spec", "/zz", ""])},
    ),
    max_size=3,
)
STEP_NAMES = st.sampled_from([".", "f:spec", "f:metadata", "f:a", 'k:{"name":"a"}', "k:{", "k:1", "v:", 'v:"x"', "x"])
OWNED: st.SearchStrategy[Any] = st.recursive(st.just({}), lambda inner: st.dictionaries(STEP_NAMES, inner, max_size=3), max_leaves=6)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"operation": st.sampled_from(["Apply", "Update", "x"]), "fieldsV1": st.one_of(OWNED, JSON)},
        optional={"manager": st.sampled_from(["a", "b", ""]), "subresource": st.sampled_from(["", "status"]), "time": JSON},
    ),
    max_size=3,
)
CONFIGURATIONS = st.builds(
    lambda kind, entries, spec: {**kind, "metadata": {"name": "a", **entries}, "spec": spec},
    st.sampled_from(
        [{"apiVersion": "v1", "kind": "Service"}, {"apiVersion": "v1", "kind": "Pod"}, {"apiVersion": "apps/v1", "kind": "Deployment"}]
    ),
    st.one_of(st.just({}), ENTRIES.map(lambda entries: {"managedFields": entries})),
    st.dictionaries(
        st.sampled_from(["ports", "containers", "selector", "template", "volumes"]),
        st.one_of(JSON, st.lists(st.dictionaries(st.sampled_from(["name", "port", "protocol"]), JSON, max_size=2), max_size=2)),
        max_size=3,
    ),
)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.one_of(JSON, OBJECTS, NAMED, DEEP, STEPS, CONFIGURATIONS).map(lambda value: json.dumps(value).encode()),
)
PATHS = st.sampled_from(
    [
        "/api/v1/namespaces/default/configmaps",
        "/api/v1/namespaces/default/configmaps/a",
        "/api/v1/namespaces/default/services/a",
        "/api/v1/namespaces/default/services",
        "/api/v1/namespaces/default/pods/a",
        "/api/v1/namespaces/default/pods/a/status",
        "/api/v1/namespaces/default/pods/a/log",
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/a/status",
        "/api/v1/namespaces",
        "/apis/apps/v1/namespaces/default/deployments",
        "/apis/apps/v1/namespaces/default/deployments/a",
        "/apis/apps/v1/namespaces/default/deployments/a/scale",
        "/apis/networking.istio.io/v1/namespaces/default/virtualservices/a",
        "/apis/networking.istio.io/v1/namespaces/default/virtualservices",
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        "/api/v1/namespaces/default/pods/a/eviction",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        "/openapi/v2",
        "/openapi/v3/%00",
        "/api//v1/%2e%2e/x",
    ]
)
PARAMETER_NAMES = [
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "dryRun",
    "force",
    "fieldManager",
    "fieldValidation",
    "gracePeriodSeconds",
    "propagationPolicy",
    "tailLines",
]
VALUES = ["", "0", "1", "-1", "All", "a=b", "a in (b)", "!", "metadata.name=a", "9" * 30, "Exact", "Strict", "true", "\x00", "ü"]
PARAMETERS = st.just({"fieldManager": "m", "force": "true"}) | st.dictionaries(
    st.sampled_from(PARAMETER_NAMES), st.sampled_from(VALUES), max_size=3
)
MEDIA = st.sampled_from(
    ["application/json", "application/yaml", "application/json-patch+json", "application/merge-patch+json",
     "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf", "", "x/y; z"]
)  # fmt: skip
ACCEPT = st.sampled_from(
    [
        "application/json",
        "*/*",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ]
)
REQUESTS = st.tuples(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), PATHS, PARAMETERS, MEDIA, ACCEPT, BODIES)


@settings(max_examples=100, deadline=None)
@given(st.lists(REQUESTS, min_size=5, max_size=25))
def test_any_request_is_answered(requests: list[Any]) -> None:
    """No 5xx but the few that Kubernetes gives too; what is stored afterwards can still be listed and printed."""
    asyncio.run(asyncio.wait_for(play(requests), 60))


@pytest.mark.parametrize("depth", [100, 450, 900, 5000])
def test_deep_objects_are_answered(depth: int) -> None:
    """Levels without end give an object or a 4xx, in fields, in patches and in who owns what, and nothing half-written."""
    nest = '{"f:a":' * depth + "{}" + "}" * depth
    owned = '{"metadata":{"name":"a","managedFields":[{"manager":"x","operation":"Update","fieldsV1":NEST}]},"data":{}}'.replace(
        "NEST", nest
    )
    free = '{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}],"affinity":NEST}}'.replace("NEST", nest)

    async def main() -> None:
        door = Door()
        await door.live.start()
        for kind, body in (("configmaps", owned), ("pods", free)):
            path = f"/api/v1/namespaces/default/{kind}"
            await door.call("POST", path, "", {}, b'{"metadata":{"name":"a"}}')
            for method, at, media in (
                ("POST", "", "application/json"),
                ("PUT", "/a", "application/json"),
                ("PATCH", "/a", "application/merge-patch+json"),
                ("PATCH", "/a", "application/strategic-merge-patch+json"),
                ("PATCH", "/a", "application/apply-patch+yaml"),
            ):
                headers = {"Content-Type": media}
                status, content = await door.call(method, path + at, "fieldManager=m", headers, body.encode())
                assert status < 500 or b"failed to create typed" in content, (method, media, content[:300])
            assert (await door.call("GET", path, "", {}, b""))[0] == 200
        await door.live.close()

    asyncio.run(asyncio.wait_for(main(), 30))


ALLOWED = (b"declared merge key", b"failed to create typed patch object", b"Too large resource version", b"no node")


async def play(requests: list[Any]) -> None:
    door = Door()
    await door.live.start()
    for method, path, parameters, media, accept, body in requests:
        headers = {"Accept": accept} | ({"Content-Type": media} if media else {})
        status, content = await door.call(method, path, urlencode(parameters), headers, body)
        assert status < 500 or any(text in content for text in ALLOWED), (method, path, parameters, media, accept, body, content)
    for path in ("configmaps", "services", "pods", "secrets", "namespaces"):
        for accept in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
            status, content = await door.call("GET", f"/api/v1/{path}", "", {"Accept": accept}, b"")
            assert (status, json.loads(content)["kind"] != "Status") == (200, True)
    await door.live.close()
