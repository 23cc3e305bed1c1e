"""A proxy's configuration in the form of Envoy's own `/config_dump`, made from the frames it shall hold.

Why: tools compare it with what the Envoy says. Must not hide secrets: whoever shows it does (`util.redact`).
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage

from lateen.model.frame import Frame
from lateen.xds.resources import CLUSTER, ENDPOINTS, EXTENSION, LISTENER, ROUTES, SECRET

__all__ = ["config_dump", "resources"]

_ADMIN = "type.googleapis.com/envoy.admin.v3."


def config_dump(frames: Callable[[str], Mapping[str, Frame]], version: str, *, endpoints: bool) -> dict[str, Any]:
    """The dump as JSON; `frames` gives those of a type. Endpoints are shown on demand only, as Envoy does."""

    def all_of(type_url: str, key: str) -> list[dict[str, Any]]:
        return [{"versionInfo": version, key: one} for one in resources(frames(type_url).values())]

    listeners = [
        {"name": one.get("name", ""), "activeState": {"versionInfo": version, "listener": one}}
        for one in resources(frames(LISTENER).values())
    ]
    parts: list[dict[str, Any]] = [
        {"@type": f"{_ADMIN}BootstrapConfigDump"},
        {"@type": f"{_ADMIN}ClustersConfigDump", "versionInfo": version, "dynamicActiveClusters": all_of(CLUSTER, "cluster")},
    ]
    if endpoints:
        parts.append({"@type": f"{_ADMIN}EndpointsConfigDump", "dynamicEndpointConfigs": all_of(ENDPOINTS, "endpointConfig")})
    return {
        "configs": [
            *parts,
            {"@type": f"{_ADMIN}ListenersConfigDump", "versionInfo": version, "dynamicListeners": listeners},
            {"@type": f"{_ADMIN}ScopedRoutesConfigDump"},
            {"@type": f"{_ADMIN}RoutesConfigDump", "dynamicRouteConfigs": all_of(ROUTES, "routeConfig")},
            {"@type": f"{_ADMIN}SecretsConfigDump", "dynamicActiveSecrets": all_of(SECRET, "secret")},
            {"@type": f"{_ADMIN}EcdsConfigDump", "ecdsFilters": all_of(EXTENSION, "ecdsFilter")},
        ]
    }


def resources(frames: Iterable[Frame]) -> list[dict[str, Any]]:
    """The resources as JSON with their types; one whose message is not known here is left as bytes."""
    response = discovery_pb2.DiscoveryResponse.FromString(b"".join(frame.sotw_entry for frame in frames))
    return [_json(one) for one in response.resources]


def _json(resource: AnyMessage) -> dict[str, Any]:
    try:
        return json_format.MessageToDict(resource)
    except (TypeError, json_format.Error):
        return {"@type": resource.type_url, "value": base64.b64encode(resource.value).decode()}
