"""A pod with its sidecar: the `istio-proxy` container, and the labels and annotations that the mesh reads.

Why as Istio's: people and tools know a meshed pod by these. The program always waits for its proxy, so the proxy is the first
container. The template `gateway` completes a container whose image is `auto`. Must not change the pod it is given.
"""

import copy
import json
from collections.abc import Mapping

from lateen.inject.policy import templates

__all__ = ["PROXY_IMAGE", "InjectionError", "inject"]

JsonObject = dict[str, object]
PROXY = "istio-proxy"
PROXY_IMAGE = "lateen/proxy:1.31.0"
_UID = 1337
_KNOWN = frozenset({"sidecar", "gateway"})
_CANONICAL_NAMES = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_CANONICAL_REVISIONS = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


class InjectionError(ValueError):
    """A sentence saying why the pod cannot have a sidecar; `field` is the part of it at fault."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def inject(pod: Mapping[str, object], revision: str = "default") -> JsonObject:
    """The pod with its proxy; whether it should have one is `policy.wants_sidecar`'s to say."""
    made: JsonObject = copy.deepcopy(dict(pod))
    unknown = [each for each in templates(pod) if each not in _KNOWN]
    if unknown:
        raise InjectionError(
            f'there is no injection template "{unknown[0]}"; the templates are gateway and sidecar',
            "metadata.annotations[inject.istio.io/templates]",
        )
    gateway = "gateway" in templates(pod)
    meta, spec = _part(made, "metadata"), _part(made, "spec")
    _label(meta, revision, gateway=gateway)
    annotations = _part(meta, "annotations")
    names = [str(each.get("name")) for each in _containers(spec) if each.get("name") != PROXY]
    if names and not gateway:
        for note in ("kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container"):
            annotations.setdefault(note, names[0])
    volumes, mounts = ([] if gateway else _of_user(annotations, f"sidecar.istio.io/userVolume{part}") for part in ("", "Mount"))
    present = spec.get("volumes")
    if volumes:
        spec["volumes"] = [*(present if isinstance(present, list) else []), *volumes]
    annotations["sidecar.istio.io/status"] = json.dumps(
        {
            "initContainers": None,
            "containers": [PROXY],
            "volumes": [each["name"] for each in volumes] or None,
            "imagePullSecrets": None,
            "revision": revision,
        },
        separators=(",", ":"),
    )
    _add_proxy(spec, gateway=gateway, annotations=annotations, mounts=mounts)
    return made


def _part(obj: JsonObject, name: str) -> JsonObject:
    """The map of that name in `obj`, made where there is none."""
    value = obj.get(name)
    if not isinstance(value, dict):
        value = {}
        obj[name] = value
    return value


def _containers(spec: JsonObject) -> list[JsonObject]:
    listed = spec.get("containers")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _of_user(annotations: JsonObject, annotation: str) -> list[JsonObject]:
    """The volumes or mounts that the annotation's JSON gives by name."""
    text = annotations.get(annotation)
    try:
        given = json.loads(str(text)) if text else {}
    except ValueError as error:
        given = error
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        why = f": {given}" if isinstance(given, ValueError) else ""
        raise InjectionError(
            f'"{text}" is not a JSON object of volumes by name, as {{"certs":{{"secret":{{"secretName":"certs"}}}}}}{why}',
            f"metadata.annotations[{annotation}]",
        )
    return [{**each, "name": name} for name, each in sorted(given.items())]


def _label(meta: JsonObject, revision: str, *, gateway: bool) -> None:
    """A gateway's listeners say themselves whether they take TLS, so it does not claim to take the mesh's."""
    labels = _part(meta, "labels")
    name = next((str(labels[each]) for each in _CANONICAL_NAMES if labels.get(each)), "") or _workload(meta)
    version = next((str(labels[each]) for each in _CANONICAL_REVISIONS if labels.get(each)), "latest")
    if not gateway:
        labels.setdefault("security.istio.io/tlsMode", "istio")
    labels.setdefault("service.istio.io/canonical-name", name[:63].rstrip("-."))
    labels.setdefault("service.istio.io/canonical-revision", version)
    labels.setdefault("istio.io/rev", revision)


def _workload(meta: JsonObject) -> str:
    """The name of what the pod belongs to: a Deployment's, without the ReplicaSet's hash."""
    owners = meta.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else []:
        if isinstance(owner, dict) and owner.get("controller"):
            name, mark = str(owner.get("name")), str(_part(meta, "labels").get("pod-template-hash", ""))
            return name.removesuffix(f"-{mark}") if mark else name
    return str(meta.get("name") or meta.get("generateName") or "").rstrip("-")


def _add_proxy(spec: JsonObject, *, gateway: bool, annotations: JsonObject, mounts: list[JsonObject]) -> None:
    containers = _containers(spec)
    own = next((each for each in containers if each.get("name") == PROXY), {})
    others = [each for each in containers if each.get("name") != PROXY]
    proxy = _proxy("router" if gateway else "sidecar", annotations)
    if mounts:
        proxy["volumeMounts"] = mounts
    for key, value in own.items():
        if key == "env" and isinstance(value, list):
            named = {each.get("name") for each in value if isinstance(each, dict)}
            present = proxy["env"]
            assert isinstance(present, list)  # noqa: S101  (made below)
            proxy["env"] = [each for each in present if each["name"] not in named] + value
        elif key == "securityContext" and isinstance(value, dict):
            proxy[key] = {**_part(proxy, key), **value}
        elif key == "ports" and isinstance(value, list):
            present = proxy["ports"]
            assert isinstance(present, list)  # noqa: S101  (made below)
            proxy[key] = value + present
        elif key == "volumeMounts" and isinstance(value, list):
            proxy[key] = value + mounts
        elif not (key == "image" and value == "auto"):
            proxy[key] = value
    # The program's order is kept; a sidecar comes first, as it starts first.
    spec["containers"] = [proxy, *others]


def _field(name: str, path: str) -> JsonObject:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _proxy(kind: str, annotations: JsonObject) -> JsonObject:
    image = str(annotations.get("sidecar.istio.io/proxyImage") or PROXY_IMAGE)
    return {
        "name": PROXY,
        "image": image,
        "args": ["proxy", kind, "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
        "env": [
            _field("POD_NAME", "metadata.name"),
            _field("POD_NAMESPACE", "metadata.namespace"),
            _field("INSTANCE_IP", "status.podIP"),
            _field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
            _field("HOST_IP", "status.hostIP"),
        ],
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": 15021, "scheme": "HTTP"},
            "periodSeconds": 15,
            "timeoutSeconds": 3,
            "failureThreshold": 4,
            "successThreshold": 1,
        },
        "resources": {},
        "securityContext": {"runAsUser": _UID, "runAsGroup": _UID, "runAsNonRoot": True},
    }
