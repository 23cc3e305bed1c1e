"""One object to all that is wrong with it, by the table of validators."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from lateen.api.decode import Decoded
from lateen.api.decode_fields import Finding
from lateen.api.decode_typed import Origin, problem
from lateen.api.kinds import by_api
from lateen.api.validate.authentication import check_peer_authentication, check_request_authentication
from lateen.api.validate.authorization import check_authorization_policy
from lateen.api.validate.destinationrule import check_destination_rule
from lateen.api.validate.extensions import check_envoy_filter, check_traffic_extension, check_wasm_plugin
from lateen.api.validate.gateway import check_gateway
from lateen.api.validate.report import Report, Verdict
from lateen.api.validate.schema import check_presence
from lateen.api.validate.serviceentry import check_service_entry, check_workload_entry, check_workload_group
from lateen.api.validate.sidecar import check_sidecar
from lateen.api.validate.telemetry import check_proxy_config, check_telemetry
from lateen.api.validate.virtualservice import check_virtual_service
from lateen.util.problem import Problems

__all__ = ["problems_of", "validate"]

_CHECKS: Mapping[str, Callable[[Report, Any], None]] = MappingProxyType(
    {
        "AuthorizationPolicy": check_authorization_policy,
        "DestinationRule": check_destination_rule,
        "EnvoyFilter": check_envoy_filter,
        "Gateway": check_gateway,
        "PeerAuthentication": check_peer_authentication,
        "ProxyConfig": check_proxy_config,
        "RequestAuthentication": check_request_authentication,
        "ServiceEntry": check_service_entry,
        "Sidecar": check_sidecar,
        "Telemetry": check_telemetry,
        "TrafficExtension": check_traffic_extension,
        "VirtualService": check_virtual_service,
        "WasmPlugin": check_wasm_plugin,
        "WorkloadEntry": check_workload_entry,
        "WorkloadGroup": check_workload_group,
    }
)


def validate(obj: object, raw: Mapping[str, object]) -> tuple[Verdict, ...]:
    """What Istio's webhook would say of the typed object, and of what `raw`, its JSON, leaves empty; nothing for other kinds."""
    info = by_api(str(getattr(obj, "api_version", "")), str(getattr(obj, "kind", "")))
    check = _CHECKS.get(info.id) if info is not None else None
    if check is None:
        return ()
    report = Report()
    check_presence(report, raw)
    check(report, obj)
    return report.found


def problems_of(decoded: Decoded) -> Problems:
    """All that is wrong with an object of a file: what its decoding found, and what validation says, each with its line."""
    if decoded.obj is None:
        return decoded.problems
    origin = Origin(decoded.source, decoded.lines)
    verdicts = validate(decoded.obj, decoded.raw)
    return (
        *decoded.problems,
        *(problem(Finding("invalid", each.path, each.message), decoded.key, origin, each.severity) for each in verdicts),
    )
