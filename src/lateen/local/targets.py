"""Where a published port leads: to a ready pod behind its service. Must not accept connections."""

from lateen.kube.records import JsonObject, dicts, section
from lateen.local.informer import Informer, Name
from lateen.local.publish import Publication
from lateen.sources.kubeclient import KubeClient

__all__ = ["Targets"]

_SERVICE_LABEL = "kubernetes.io/service-name"


class Targets:
    """Follows Services and EndpointSlices; asked for each connection."""

    def __init__(self, client: KubeClient) -> None:
        self._services = Informer(client, "Service")
        self._slices = Informer(client, "EndpointSlice")
        self._turn = 0

    async def start(self) -> None:
        await self._services.start()
        await self._slices.start()

    async def stop(self) -> None:
        await self._services.stop()
        await self._slices.stop()

    def find(self, publication: Publication) -> tuple[str, int] | None:
        """The next ready pod in turn, and the port there; None while there is none."""
        namespace = publication.namespace or "default"
        service = self._services.get(Name(namespace, publication.service))
        if service is None:
            return None
        found = [
            (address, port)
            for each in self._slices.items()
            if _belongs(each, namespace, publication.service)
            for port in _ports(each, service, publication.port)
            for address in _ready(each)
        ]
        self._turn += 1
        return sorted(found)[self._turn % len(found)] if found else None


def _belongs(each: JsonObject, namespace: str, service: str) -> bool:
    meta = section(each, "metadata")
    return meta.get("namespace") == namespace and section(meta, "labels").get(_SERVICE_LABEL) == service


def _ports(each: JsonObject, service: JsonObject, wanted: int) -> list[int]:
    """The pods' port for a port of the service; a port that is the pods' own counts too."""
    names = {port.get("name", "") for port in dicts(section(service, "spec").get("ports")) if port.get("port") == wanted}
    ports = dicts(each.get("ports"))
    found = [port["port"] for port in ports if port.get("name", "") in names] if names else []
    found = found or [port["port"] for port in ports if port.get("port") == wanted]
    return [port for port in found if isinstance(port, int)]


def _ready(each: JsonObject) -> list[str]:
    endpoints = [one for one in dicts(each.get("endpoints")) if section(one, "conditions").get("ready") is not False]
    return [str(addresses[0]) for one in endpoints if isinstance(addresses := one.get("addresses"), list) and addresses]
