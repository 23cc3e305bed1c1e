"""How lists and maps are owned: by element or as a whole.

Why: server-side apply merges a list element by element only where Kubernetes' types say by which keys; everywhere else it belongs to one
manager. Istio's definitions name no keys, so all their lists are whole. Must not know strategic merge, whose keys differ.
"""

from collections.abc import Mapping, Sequence

import msgspec

from lateen.kube.records import JsonObject

__all__ = ["SET", "element", "is_atomic_map", "list_keys"]

SET = ("",)  # a list of plain values, each an element of its own

_METADATA: Mapping[str, tuple[str, ...]] = {"ownerReferences": ("uid",), "finalizers": SET}
_BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "env": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "schedulingGates": ("name",),
    "conditions": ("type",),
    "podIPs": ("ip",),
    "secrets": ("name",),
    "webhooks": ("name",),
    "matchConditions": ("name",),
}
_GATEWAY_API: Mapping[str, tuple[str, ...]] = {"listeners": ("name",), "conditions": ("type",)}
_WHOLE_LISTS = frozenset({"endpoints", "endpointslices.discovery.k8s.io"})
_WHOLE_MAPS = frozenset(
    {
        "selector",
        "nodeSelector",
        "secretKeyRef",
        "configMapKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "targetRef",
        "involvedObject",
        "secretRef",
        "configMapRef",
        "namespaceSelector",
        "objectSelector",
        "podSelector",
        "labelSelector",
    }
)
_DEFAULT_KEYS: Mapping[str, object] = {"protocol": "TCP"}


def list_keys(resource: str, path: Sequence[str]) -> tuple[str, ...]:
    """The keys of the list at a path of field names; empty where the list is owned as a whole."""
    name, group = path[-1], resource.partition(".")[2]
    if path[0] == "metadata":
        return _METADATA.get(name, ()) if len(path) == 2 else ()
    if group == "gateway.networking.k8s.io":
        return _GATEWAY_API.get(name, ())
    if group.endswith(".istio.io") or resource in _WHOLE_LISTS:
        return ()
    if name == "ports" and path[0] == "spec":
        return ("port" if resource == "services" else "containerPort", "protocol")
    return _BUILT_IN.get(name, ())


def is_atomic_map(resource: str, path: Sequence[str]) -> bool:
    """Whether the map at a path of field names is owned as a whole."""
    return path[-1] in _WHOLE_MAPS and not resource.endswith((".istio.io", "gateway.networking.k8s.io"))


def element(keys: tuple[str, ...], item: object) -> str:
    """The element's name in a set of fields: `k:{"name":"a"}`, `v:"x"`; empty where the item lacks a key."""
    if keys == SET:
        return f"v:{_text(item)}"
    if not isinstance(item, dict):
        return ""
    found: JsonObject = {key: item.get(key, _DEFAULT_KEYS.get(key)) for key in sorted(keys)}
    return "" if None in found.values() else f"k:{_text(found)}"


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
