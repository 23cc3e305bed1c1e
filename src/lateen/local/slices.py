"""Services and the pods that they select become EndpointSlices.

Why: control plane and kubectl read endpoints from there only. Pods whose named ports stand for different numbers go to slices of
their own. Must not know who uses them; Services without a selector keep what their owner writes.
"""

import asyncio
import zlib
from collections.abc import Mapping

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.informer import Informer, Name, WorkQueue, name_of
from lateen.local.replicasets import is_ready, owner_reference
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient

__all__ = ["MANAGER", "Slices", "endpoint_of", "ports_of"]

MANAGER = "endpointslice-controller.k8s.io"
_SERVICE_LABEL = "kubernetes.io/service-name"
_MANAGED_LABEL = "endpointslice.kubernetes.io/managed-by"
_HEADLESS_LABEL = "service.kubernetes.io/headless"
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SLICE = info_of("EndpointSlice")
_MOST_ENDPOINTS = 100

# Name, protocol, number and application protocol of each port of a slice.
Ports = tuple[tuple[str, str, int, str], ...]


def ports_of(service: Mapping[str, object], pod: Mapping[str, object]) -> Ports:
    """The service's ports on this pod; a named port that the pod does not have is left out."""
    containers = dicts(section(pod, "spec").get("containers"))
    named = {
        (port.get("name"), port.get("protocol", "TCP")): port.get("containerPort")
        for container in reversed(containers)
        for port in dicts(container.get("ports"))
    }
    found = []
    for port in dicts(section(service, "spec").get("ports")):
        protocol = str(port.get("protocol", "TCP"))
        target = port.get("targetPort", port.get("port"))
        number = target if isinstance(target, int) else named.get((target, protocol))
        if isinstance(number, int):
            found.append((str(port.get("name", "")), protocol, number, str(port.get("appProtocol", ""))))
    return tuple(found)


def endpoint_of(service: Mapping[str, object], pod: Mapping[str, object]) -> JsonObject | None:
    """The pod as an endpoint; None while it has no address, or when it has ended."""
    meta, status = section(pod, "metadata"), section(pod, "status")
    address = status.get("podIP")
    if not address or status.get("phase") in ("Succeeded", "Failed"):
        return None
    going = "deletionTimestamp" in meta
    serving = is_ready(dict(pod))
    always = section(service, "spec").get("publishNotReadyAddresses") is True
    endpoint: JsonObject = {
        "addresses": [address],
        "conditions": {"ready": always or (serving and not going), "serving": serving, "terminating": going},
        "nodeName": section(pod, "spec").get("nodeName", "local"),
        "targetRef": {"kind": "Pod", "namespace": meta.get("namespace"), "name": meta.get("name"), "uid": meta.get("uid")},
    }
    spec = section(pod, "spec")
    if spec.get("hostname") and spec.get("subdomain") == section(service, "metadata").get("name"):
        endpoint["hostname"] = spec["hostname"]
    return endpoint


class Slices:
    """Follows Services; pods come from an informer that others share."""

    def __init__(self, client: KubeClient, pods: Informer, clock: Clock) -> None:
        self._client = client
        self._pods = pods
        self._services = Informer(client, "Service")
        self._slices = Informer(client, "EndpointSlice")
        self._queue = WorkQueue("endpoint slices", self._reconcile, clock)
        self._services.listen(lambda name, _old, _new: self._queue.add(name))
        pods.listen(self._pod_changed)

    async def start(self) -> None:
        """Begin to follow; the pods' informer has been started."""
        await asyncio.gather(self._services.start(), self._slices.start())
        self._queue.start()

    async def stop(self) -> None:
        """Write nothing more."""
        await self._queue.stop()
        await asyncio.gather(self._services.stop(), self._slices.stop())

    def _pod_changed(self, name: Name, old: JsonObject | None, new: JsonObject | None) -> None:
        labels = [section(section(each, "metadata"), "labels") for each in (old, new) if each]
        for service in self._services.items(name.namespace):
            selector = section(section(service, "spec"), "selector")
            if selector and any(selector.items() <= each.items() for each in labels):
                self._queue.add(name_of(service))

    async def _reconcile(self, name: Name) -> None:
        service = self._services.get(name)
        mine = {
            name_of(one).name: one
            for one in self._slices.items(name.namespace)
            if section(section(one, "metadata"), "labels").get(_SERVICE_LABEL) == name.name
            and section(section(one, "metadata"), "labels").get(_MANAGED_LABEL) == MANAGER
        }
        wanted = self._wanted(service) if service else {}
        for slice_name, one in wanted.items():
            present = mine.pop(slice_name, None)
            if present is None:
                await self._create(one)
            elif any(present.get(key) != one[key] for key in ("endpoints", "ports")) or not _labelled(present, one):
                meta = {**section(present, "metadata"), "labels": section(section(one, "metadata"), "labels")}
                self._slices.observe(await self._client.replace(_SLICE, {**one, "metadata": meta}))
        for slice_name in mine:
            await self._delete(slice_name, name.namespace)

    async def _create(self, wanted: JsonObject) -> None:
        try:
            self._slices.observe(await self._client.create(_SLICE, wanted))
        except ApiError as error:
            if error.code != 404:  # the namespace is going
                raise

    async def _delete(self, name: str, namespace: str) -> None:
        try:
            await self._client.delete(_SLICE, name, namespace)
        except ApiError as error:
            if error.code != 404:
                raise

    def _wanted(self, service: JsonObject) -> dict[str, JsonObject]:
        spec, meta = section(service, "spec"), section(service, "metadata")
        selector = section(spec, "selector")
        if not selector or spec.get("type") == "ExternalName" or "deletionTimestamp" in meta:
            return {}
        groups: dict[Ports, list[JsonObject]] = {}
        for pod in self._pods.items(str(meta["namespace"])):
            if selector.items() <= section(section(pod, "metadata"), "labels").items():
                endpoint = endpoint_of(service, pod)
                if endpoint:
                    groups.setdefault(ports_of(service, pod), []).append(endpoint)
        if not groups:
            groups[ports_of(service, {})] = []
        made = {}
        for ports, endpoints in groups.items():
            endpoints.sort(key=lambda each: str(section(each, "targetRef")["name"]))
            for start in range(0, max(1, len(endpoints)), _MOST_ENDPOINTS):
                part = endpoints[start : start + _MOST_ENDPOINTS]
                one = _slice(service, ports, part, start if len(groups) == 1 else f"{ports}{start}")
                made[name_of(one).name] = one
        return made


def _labelled(present: JsonObject, wanted: JsonObject) -> bool:
    return section(section(present, "metadata"), "labels") == section(section(wanted, "metadata"), "labels")


def _slice(service: JsonObject, ports: Ports, endpoints: list[JsonObject], part: object) -> JsonObject:
    meta = section(service, "metadata")
    labels = {
        **{key: value for key, value in section(meta, "labels").items() if key != _HEADLESS_LABEL},
        _SERVICE_LABEL: meta["name"],
        _MANAGED_LABEL: MANAGER,
    }
    if section(service, "spec").get("clusterIP") == "None":
        labels[_HEADLESS_LABEL] = ""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{meta['name']}-{_suffix(str(meta['uid']) + str(part))}",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [
            {"name": name, "protocol": protocol, "port": number, **({"appProtocol": app} if app else {})}
            for name, protocol, number, app in ports
        ],
    }


def _suffix(text: str) -> str:
    value = zlib.crc32(text.encode())
    letters = []
    for _ in range(5):
        value, at = divmod(value, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)
