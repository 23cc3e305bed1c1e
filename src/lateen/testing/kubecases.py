"""Recorded Kubernetes requests: the world each of them met, and what of an answer must be the same.

Why: a recording says what was asked and answered, not what was there before. That is read off the answer: what answered 200 was there, what
answered 404 was not. Must not be used by the product.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lateen.api.kinds import KindInfo, info_of
from lateen.kube.defined import BUILT_IN, Kinds
from lateen.kube.errors import ApiError
from lateen.kube.paths import Target, parse_path
from lateen.kube.records import dicts, section
from lateen.sources.kubeclient import KubeClient

__all__ = ["arrange", "arrange_conflict", "difference_of", "make", "shape"]

JsonObject = dict[str, Any]
_LABELS = {"app": "web"}
_POD: JsonObject = {"containers": [{"name": "c", "image": "x"}]}
_SPECS: Mapping[str, JsonObject] = {
    "Pod": {"spec": _POD},
    "Deployment": {
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}},
        }
    },
    "Service": {"spec": {"selector": _LABELS, "ports": [{"port": 80}]}},
    "ConfigMap": {"data": {"a": "1"}},
    "VirtualService": {"spec": {"hosts": ["h"], "http": [{"route": [{"destination": {"host": "h"}}]}]}},
    "EndpointSlice": {"addressType": "IPv4", "endpoints": []},
    "PeerAuthentication": {"spec": {}},
    "GatewayClass": {"spec": {"controllerName": "example.com/gateways"}},
    "KubernetesGateway": {"spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}},
    "Widget": {"spec": {"size": 3, "color": "red"}},
}
_HELD = "kt.example.com/hold"
_BY_MACHINERY = ("foregroundDeletion", "orphan")
_UNTOLD = ("managedFields", "uid", "resourceVersion", "creationTimestamp")


async def make(client: KubeClient, kind: str | KindInfo, obj: JsonObject, namespace: str = "") -> None:
    """Create an object; one that is there stays."""
    try:
        await client.create(info_of(kind) if isinstance(kind, str) else kind, obj, namespace)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise


async def arrange(client: KubeClient, method: str, uri: str, status: int, answer: object, kinds: Kinds = BUILT_IN) -> None:
    """Bring about what the request met."""
    split = urlsplit(uri)
    target = _target(split.path, kinds)
    body = answer if isinstance(answer, dict) else {}
    if target is None:
        return
    message = str(body.get("message", ""))
    if target.namespace and not message.startswith("namespaces "):
        await make(client, "Namespace", {"metadata": {"name": target.namespace}})
    if "because it is being terminated" in message:
        await _terminate_namespace(client, target.namespace)
    elif not target.name and method == "POST":
        await _arrange_create(client, target, body, message)
    elif not target.name:
        await _arrange_items(client, target, body, "deletecollection" if method == "DELETE" else "")
    elif status == 404 or (status == 201 and not target.subresource):
        if not message.startswith("the server could not find"):
            await _remove(client, target, target.name)
    else:
        await _ensure(client, target, target.name, body, method)
    limit = parse_qs(split.query).get("limit", [""])[0]
    if limit.isdecimal():
        await _fill(client, target, int(limit))


def _target(path: str, kinds: Kinds) -> Target | None:
    try:
        return parse_path(path, kinds)
    except ApiError:
        return None


async def _arrange_create(client: KubeClient, target: Target, body: JsonObject, message: str) -> None:
    if target.subresource or "already exists" not in message:
        return
    name = str(section(body, "details").get("name", ""))
    finalizers = [_HELD] if "being deleted" in message else []
    await _ensure(client, target, name, {"metadata": {"finalizers": finalizers}}, "POST")
    if finalizers:
        await client.delete(target.info, name, target.namespace)


async def _arrange_items(client: KubeClient, target: Target, body: JsonObject, why: str) -> None:
    if body.get("kind") == "Table":
        for row in dicts(body.get("rows")):
            meta = section(section(row, "object"), "metadata")
            name = str(meta.get("name") or row["cells"][0])  # type: ignore[index]
            await _ensure(client, target, name, {"metadata": meta}, why)
    for item in dicts(body.get("items")):
        await _ensure(client, target, str(section(item, "metadata").get("name")), item, why)


async def _fill(client: KubeClient, target: Target, limit: int) -> None:
    """Enough objects for more than one page, where a page is small."""
    namespace = target.namespace or "default"
    suffix = ".example.com" if target.info.kind == "CustomResourceDefinition" else ""
    for number in range(2 * limit + 2 if limit <= 50 else 0):
        await make(client, target.info, _seed(target, f"page-{number:04}{suffix}", {}), namespace)


def _seed(target: Target, name: str, body: JsonObject) -> JsonObject:
    info = target.info
    told = section(body, "metadata")
    meta: JsonObject = {"name": name} | {key: told[key] for key in ("labels", "annotations") if key in told}
    if finalizers := [f for f in strings_of(told.get("finalizers")) if f not in _BY_MACHINERY]:
        meta["finalizers"] = finalizers
    content = {key: value for key, value in body.items() if key not in ("kind", "apiVersion", "metadata", "status")}
    if body.get("kind") != info.kind or not content:
        content = _definition(name) if info.kind == "CustomResourceDefinition" else dict(_SPECS.get(info.id) or _SPECS.get(info.kind, {}))
    if body.get("kind") == "Scale":
        content["spec"] = section(content, "spec") | section(body, "spec")
    return {"apiVersion": info.api_version_of(target.version), "kind": info.kind, "metadata": meta} | content


def _definition(name: str) -> JsonObject:
    plural, _, group = name.partition(".")
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": plural, "kind": plural.capitalize()}
    return {"spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}}


def strings_of(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


async def _ensure(client: KubeClient, target: Target, name: str, body: JsonObject, method: str) -> None:
    seed = _seed(target, name, body)
    told = section(body, "metadata")
    deleted = "deletionTimestamp" in told and not (method == "DELETE" and target.name)
    if (
        (deleted or "being deleted" in str(body.get("message", "")))
        and target.info.kind != "Pod"
        and not seed["metadata"].get("finalizers")
    ):
        seed["metadata"]["finalizers"] = [_HELD]
    if target.info.kind == "Pod" and told.get("deletionGracePeriodSeconds") == 30:
        seed["spec"] = seed["spec"] | {"nodeName": "n"}
    await make(client, target.info, seed, target.namespace)
    if target.info.kind == "Pod" and section(body, "status").get("phase") in ("Succeeded", "Failed"):
        await client.patch_status(target.info, name, section(body, "status"), target.namespace)
    if deleted or "being deleted" in str(body.get("message", "")):
        if target.info.kind == "Namespace":
            await _terminate_namespace(client, name)
        else:
            await client.delete(target.info, name, target.namespace)


async def _terminate_namespace(client: KubeClient, name: str) -> None:
    await make(client, "Namespace", {"metadata": {"name": name}})
    held = {"metadata": {"name": "held", "finalizers": [_HELD]}}
    await make(client, "ConfigMap", held, name)
    await client.delete(info_of("Namespace"), name)


async def _remove(client: KubeClient, target: Target, name: str) -> None:
    try:
        await client.delete(target.info, name, target.namespace, grace=0)
    except ApiError as error:
        if error.code != 404:
            raise


async def arrange_conflict(client: KubeClient, uri: str, configuration: JsonObject, causes: list[JsonObject]) -> None:
    """Another manager owns what the causes name, with another value."""
    target = parse_path(urlsplit(uri).path)
    assert target is not None  # noqa: S101
    await make(client, "Namespace", {"metadata": {"name": target.namespace}})
    await _remove(client, target, target.name)
    other = json.loads(json.dumps(configuration))
    for cause in causes:
        _alter(other, str(cause["field"]))
    manager = str(causes[0]["message"]).partition('"')[2].partition('"')[0]
    await client.patch(target.info, target.name, other, target.namespace, kind="apply", manager=manager)


def _alter(obj: Any, field: str) -> None:  # noqa: ANN401  walks JSON
    steps = [step for step in field.replace("[", ".[").split(".") if step]
    for step in steps[:-1]:
        if step.startswith("["):
            key, _, value = step.strip("[]").partition("=")
            obj = next(item for item in obj if json.dumps(item.get(key)) == value)
        else:
            obj = obj[step]
    last = steps[-1]
    before = obj[last]
    obj[last] = before + 1 if isinstance(before, int) else [*before, before[0]] if isinstance(before, list) else f"{before}-other"


def shape(value: object, path: str = "") -> Iterator[str]:
    """The paths of an answer; elements of lists are one, and what differs by nature is left out."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key not in _UNTOLD and child not in (None, {}, []):
                yield from shape(child, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from shape(item, f"{path}[]")
    else:
        yield f"{path}: {'number' if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__}"


def difference_of(wanted: object, got: object) -> str:
    """How an answer differs from the recorded one in kind or shape; empty where it does not."""
    if not isinstance(wanted, dict) or not isinstance(got, dict):
        return "" if isinstance(wanted, dict) is isinstance(got, dict) else f"wanted {str(wanted)[:200]}, got {str(got)[:200]}"
    for name in ("kind", "apiVersion", "reason", "code"):
        if wanted.get(name) != got.get(name):
            return f"{name}: wanted {wanted.get(name)}, got {got.get(name)} ({str(got.get('message'))[:300]})"
    if wanted.get("kind") == "Status":
        return _status_difference(wanted, got)
    if wanted.get("kind") == "Table":
        return _table_difference(wanted, got)
    return ""


def _status_difference(wanted: JsonObject, got: JsonObject) -> str:
    for name in ("name", "group", "kind"):
        if section(wanted, "details").get(name) != section(got, "details").get(name):
            return f"details.{name}: wanted {section(wanted, 'details')}, got {section(got, 'details')}"
    causes = [{(c.get("reason"), c.get("field")) for c in dicts(section(one, "details").get("causes"))} for one in (wanted, got)]
    return "" if causes[0] == causes[1] else f"causes: wanted {causes[0]}, got {causes[1]}"


def _table_difference(wanted: JsonObject, got: JsonObject) -> str:
    if not wanted.get("columnDefinitions"):
        return ""
    heads = [[(c["name"], c["type"], c["format"], c["priority"]) for c in dicts(one.get("columnDefinitions"))] for one in (wanted, got)]
    if heads[0] != heads[1][: len(heads[0])]:  # long lists are cut in the recordings
        return f"columns: wanted {heads[0]}, got {heads[1]}"
    kinds = [{section(row, "object").get("kind") for row in dicts(one.get("rows"))} for one in (wanted, got)]
    return "" if not kinds[0] or kinds[0] == kinds[1] else f"rows: wanted {kinds[0]}, got {kinds[1]}"
