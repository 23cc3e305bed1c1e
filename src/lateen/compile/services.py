"""Kubernetes Services become services of the mesh."""

from lateen.api.meta import Key
from lateen.api.services import Service as KubeService
from lateen.api.services import ServicePort
from lateen.compile.protocols import protocol_of
from lateen.compile.virtualservices import exported_to
from lateen.model.service import Port, Protocol, Resolution, Service, ServiceKey
from lateen.util.selectors import canonical

__all__ = ["DISTRIBUTION", "EXPORT_TO", "compile_service", "service_host"]

DISTRIBUTION = "networking.istio.io/traffic-distribution"
EXPORT_TO = "networking.istio.io/exportTo"
_NO_ADDRESS = "None"


def service_host(name: str, namespace: str, domain: str) -> str:
    """The host name of a Kubernetes Service."""
    return f"{name}.{namespace}.svc.{domain}" if domain else f"{name}.{namespace}.svc"


def compile_service(service: KubeService, *, domain: str, default_export: tuple[str, ...]) -> Service:
    """The service that `service` declares."""
    meta, spec = service.metadata, service.spec
    external = spec.type == "ExternalName"
    headless = spec.cluster_ip == _NO_ADDRESS or (not spec.cluster_ip and not external)
    annotation = meta.annotations.get(EXPORT_TO, "")
    exports = tuple(entry.strip() for entry in annotation.split(",") if entry.strip()) or default_export
    return Service(
        key=ServiceKey(meta.namespace, service_host(meta.name, meta.namespace, domain)),
        name=meta.name,
        origin=Key("Service", meta.namespace, meta.name),
        generation=meta.generation,
        creation=meta.creation_timestamp,
        registry="Kubernetes",
        resolution=Resolution.ALIAS if external else Resolution.NONE if headless else Resolution.STATIC,
        ports=tuple(_port(port) for port in spec.ports),
        addresses=() if headless or external else (spec.cluster_ips or (spec.cluster_ip,)),
        headless=headless,
        mesh_external=external,
        external_name=spec.external_name.lower() if external else "",
        export_to=exported_to(exports, meta.namespace),
        labels=canonical(meta.labels),
        selector=canonical(spec.selector),
        publish_not_ready=spec.publish_not_ready_addresses,
        traffic_distribution=meta.annotations.get(DISTRIBUTION) or spec.traffic_distribution or "",
    )


def _port(port: ServicePort) -> Port:
    target = port.target_port
    if target is None or target in (0, "0", ""):
        target = port.port
    text = str(target)
    return Port(
        number=port.port,
        name=port.name,
        protocol=Protocol.UDP if port.protocol == "UDP" else protocol_of(port.name, port.app_protocol, port.port),
        target_port=int(text) if text.isdigit() else 0,
        target_name="" if text.isdigit() else text,
    )
