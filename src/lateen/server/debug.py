"""The debug pages, in the shape of istiod's: what is known, who is connected, what each proxy was sent and has taken.

Made when they are asked for. Must not change anything; whoever shows them hides secrets.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from lateen.ads.messages import CDS, ECDS, EDS, LDS, RDS
from lateen.api.decode_typed import to_json
from lateen.api.kinds import by_kind
from lateen.api.meshconfig import MeshConfig
from lateen.compile.world import World
from lateen.graph import Graph
from lateen.model.scope import GatewayScope, InboundScope
from lateen.serve.http_debug import PageError
from lateen.server.distributor import Connection, Distributor
from lateen.server.metrics import CONFLICTS, short_type
from lateen.server.registrypages import endpoint_shards, service_json
from lateen.util.times import rfc3339
from lateen.xds.configdump import config_dump, resources

__all__ = ["DebugPages"]

Query = Mapping[str, str]
Page = Callable[[Query], object]
_SYNC_FIELDS = {CDS: "cluster", LDS: "listener", RDS: "route", EDS: "endpoint", ECDS: "extensionconfig"}
_UNKNOWN = "Proxy not connected to this Pilot instance. It may be connected to another instance."


class DebugPages:
    """Over one control plane's parts."""

    def __init__(self, graph: Graph, world: World, distributor: Distributor) -> None:
        self._graph = graph
        self._world = world
        self._distributor = distributor
        self._pages: dict[str, tuple[Page, str]] = {
            "adsz": (self._adsz, "Connected proxies with what they said of themselves and ask for"),
            "authorizationz": (self._authorizationz, "Authorization policies by namespace"),
            "config_dump": (self._config_dump, "Envoy's configuration of ?proxyID=; &types=cds,eds,... or &include_eds"),
            "configz": (self._configz, "Configuration objects"),
            "connections": (self._connections, "Connected proxies"),
            "ecdsz": (lambda query: self._config_dump({**query, "types": "ecds"}), "Filter configurations of ?proxyID="),
            "edsz": (lambda query: self._config_dump({**query, "types": "eds"}), "Endpoints of ?proxyID="),
            "endpointShardz": (self._endpoints, "Endpoints by service"),
            "endpointz": (self._endpoints, "As endpointShardz"),
            "instancesz": (self._instancesz, "Service ports of each connected proxy"),
            "mesh": (self._mesh, "MeshConfig in force"),
            "push_status": (self._push_status, "What proxies do not get because something is in its way"),
            "registryz": (self._registryz, "Services"),
            "resourcesz": (self._resourcesz, "Kinds of objects that are read"),
            "syncz": (self._syncz, "What each connected proxy was sent and has taken; ?namespace="),
        }

    @property
    def names(self) -> Mapping[str, str]:
        """The pages, with what each shows."""
        return {name: text for name, (_, text) in self._pages.items()}

    def page(self, name: str, query: Query) -> object:
        """What a page shows; PageError where it is about a proxy that is not connected."""
        return self._pages[name][0](query)

    def _syncz(self, query: Query) -> object:
        wanted = query.get("namespace", "")
        return [_sync(one) for one in self._distributor.connections() if not wanted or one.proxy.namespace == wanted]

    def _connections(self, _query: Query) -> object:
        clients = [_client(one) for one in self._distributor.connections()]
        return {"totalClients": len(clients), "clients": clients}

    def _adsz(self, query: Query) -> object:
        found = (self._connection(query),) if query.get("proxyID") else self._distributor.connections()
        return {"totalClients": len(found), "clients": [_client(one) | _watches(one) for one in found]}

    def _connection(self, query: Query) -> Connection:
        wanted = query.get("proxyID", "")
        if not wanted:
            raise PageError(400, "You must provide a proxyID in the query string")
        for one in self._distributor.connections():
            if wanted in one.id:
                return one
        raise PageError(404, _UNKNOWN)

    def _config_dump(self, query: Query) -> object:
        stream = self._connection(query).stream
        asked = [url for url in stream.types if short_type(url) in query.get("types", "").lower().split(",")]
        if query.get("types"):
            return {"configs": [one for url in asked for one in resources(stream.desired(url).values())]}
        return config_dump(stream.desired, "", endpoints="include_eds" in query)

    def _configz(self, _query: Query) -> object:
        found = []
        for kind, objects in self._world.inputs.items():
            info = by_kind(kind)
            if info is not None and info.is_istio:
                found += [to_json(obj) for _, obj in sorted(objects.items()) if isinstance(obj, Struct)]
        return found

    def _resourcesz(self, _query: Query) -> object:
        infos = [info for kind in self._world.inputs if (info := by_kind(kind)) is not None and info.is_istio]
        return [{"Group": info.group, "Version": info.versions[0], "Kind": info.kind} for info in infos]

    def _registryz(self, _query: Query) -> object:
        return [service_json(service) for _, service in sorted(self._world.base.services.items())]

    def _endpoints(self, _query: Query) -> object:
        return endpoint_shards(self._world.base.services, self._world.base.endpoints)

    def _instancesz(self, _query: Query) -> object:
        found: dict[str, Any] = {}
        for one in self._distributor.connections():
            scopes = self._world.scopes.of_proxy.get(one.proxy.id)
            both: tuple[InboundScope | GatewayScope, ...] = (*scopes.inbound, *scopes.gateway) if scopes is not None else ()
            each = [instance for scope in both for instance in scope.instances]
            found[one.proxy.id] = [
                {
                    "Service": {"hostname": instance.service.hostname, "Attributes": {"Namespace": instance.service.namespace}},
                    "Port": {
                        "ServicePort": {
                            "name": instance.port.name,
                            "port": instance.port.number,
                            "protocol": instance.port.protocol,
                        },
                        "TargetPort": instance.target_port,
                    },
                }
                for instance in each
            ]
        return found

    def _mesh(self, _query: Query) -> object:
        return to_json(self._world.mesh.get(()) or MeshConfig())

    def _authorizationz(self, _query: Query) -> object:
        policies: dict[str, list[Any]] = {}
        for key, policy in sorted(self._world.base.authz_objects.items()):
            plain = to_json(policy)
            one = {"name": key.name, "namespace": key.namespace, "spec": plain.get("spec", {})}
            policies.setdefault(key.namespace, []).append(one)
        return {"authorization_policies": {"namespace_to_policies": policies, "root_namespace": self._world.settings.root_namespace}}

    def _push_status(self, _query: Query) -> object:
        status: dict[str, dict[str, Any]] = {}
        for problems in self._graph.problems().values():
            for one in problems:
                if one.code in CONFLICTS:
                    status.setdefault(CONFLICTS[one.code], {})[f"{one.namespace}/{one.name}"] = {"message": one.message}
        return status


def _sync(connection: Connection) -> dict[str, Any]:
    proxy, stream = connection.proxy, connection.stream
    found: dict[str, Any] = {
        "cluster_id": proxy.cluster,
        "proxy": proxy.id,
        "proxy_type": proxy.kind,
        "istio_version": dict(proxy.metadata).get("ISTIO_VERSION", ""),
    }
    for url, field in _SYNC_FIELDS.items():
        found[f"{field}_sent"], found[f"{field}_acked"] = stream.nonces(url)
    resources_: dict[str, dict[str, str]] = {}
    for url in stream.types:
        sent, acked = stream.nonces(url)
        nack = stream.nacks.get(url)
        resources_[url] = _present({"sent": sent, "acked": acked, "lastError": nack.message if nack is not None else ""})
    return _present(found) | {"resources": resources_}


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _client(connection: Connection) -> dict[str, Any]:
    """The address is the one that the proxy says is its own."""
    address = connection.proxy.addresses[0] if connection.proxy.addresses else ""
    return {"connectionId": connection.id, "connectedAt": rfc3339(connection.opened), "address": address}


def _watches(connection: Connection) -> dict[str, Any]:
    proxy, stream = connection.proxy, connection.stream
    return {
        "labels": dict(proxy.labels),
        "metadata": dict(proxy.metadata),
        "locality": _present({"region": proxy.locality.region, "zone": proxy.locality.zone, "subZone": proxy.locality.subzone}),
        "watches": {url: list(stream.asked(url)) for url in stream.types},
    }
