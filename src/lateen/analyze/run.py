"""All analysers, by name, and one call that runs them."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct

from lateen.analyze import (
    annotations,
    authorization,
    conditions,
    definitions,
    destinationrules,
    envoyfilters,
    gateways,
    injection,
    schema,
    selectors,
    services,
    telemetries,
    virtualservices,
    webhooks,
    workloads,
)
from lateen.analyze.codes import CODES, Level
from lateen.analyze.objects import Finding, Objects

__all__ = ["ANALYSERS", "Message", "analyze"]

SUPPRESS = "galley.istio.io/analyze-suppress"

ANALYSERS: Mapping[str, Callable[[Objects], Iterable[Finding]]] = MappingProxyType(
    {
        "annotations.K8sAnalyzer": annotations.check_annotations,
        "authn.BlockedCIDRsAnalyzer": authorization.check_jwks_addresses,
        "authz.AuthorizationPoliciesAnalyzer": authorization.check_authorization_policies,
        "conditions.ConditionAnalyzer": conditions.check_conditions,
        "deployment.ApplicationUIDAnalyzer": workloads.check_application_uid,
        "deployment.ServiceAssociationAnalyzer": workloads.check_service_association,
        "deprecation.FieldAnalyzer": schema.check_deprecations,
        "destinationrule.CaCertificateAnalyzer": destinationrules.check_server_certificates,
        "destinationrule.EjectionAnalyzer": destinationrules.check_ejection,
        "destinationrule.IdleTimeoutAnalyzer": destinationrules.check_idle_timeouts,
        "destinationrule.PodNotSelectedAnalyzer": destinationrules.check_subsets,
        "envoyfilter.EnvoyPatchAnalyzer": envoyfilters.check_envoy_filters,
        "externalcontrolplane.ExternalControlPlaneAnalyzer": webhooks.check_external_control_plane,
        "gateway.CertificateAnalyzer": gateways.check_certificates,
        "gateway.ConflictingGatewayAnalyzer": gateways.check_conflicts,
        "gateway.IngressGatewayPortAnalyzer": gateways.check_ports,
        "gateway.SecretAnalyzer": gateways.check_secrets,
        "injection.Analyzer": injection.check_injection,
        "injection.ImageAnalyzer": injection.check_images,
        "injection.ImageAutoAnalyzer": injection.check_image_auto,
        "k8sgateway.CRDVersionAnalyzer": definitions.check_versions,
        "k8sgateway.SelectorAnalyzer": selectors.check_gateway_selectors,
        "maturity.AlphaAnalyzer": annotations.check_maturity,
        "multicluster.MeshNetworksAnalyzer": schema.check_mesh_networks,
        "schema.ValidationAnalyzer": schema.check_schema,
        "service.PortNameAnalyzer": services.check_port_names,
        "serviceentry.ConflictingServiceEntryProtocolAnalyzer": services.check_entry_protocols,
        "serviceentry.ProtocolAddressesAnalyzer": services.check_entry_addresses,
        "sidecar.SelectorAnalyzer": selectors.check_sidecars,
        "telemetry.DefaultSelectorAnalyzer": selectors.check_default_telemetries,
        "telemetry.LightstepAnalyzer": telemetries.check_lightstep,
        "telemetry.ProviderAnalyzer": telemetries.check_providers,
        "telemetry.SelectorAnalyzer": selectors.check_telemetries,
        "virtualservice.ConflictingMeshGatewayHostsAnalyzer": virtualservices.check_hosts,
        "virtualservice.DestinationHostAnalyzer": virtualservices.check_destinations,
        "virtualservice.DestinationRuleAnalyzer": virtualservices.check_subsets,
        "virtualservice.GatewayAnalyzer": virtualservices.check_gateways,
        "virtualservice.JWTClaimRouteAnalyzer": virtualservices.check_claims,
        "virtualservice.RetriesAnalyzer": virtualservices.check_retries,
        "virtualservice.SidecarViewAnalyzer": virtualservices.check_sidecar_view,
        "webhook.Analyzer": webhooks.check_webhooks,
    }
)


class Message(Struct, frozen=True, kw_only=True):
    """A finding in words."""

    code: str
    name: str
    level: Level
    origin: str
    namespace: str
    text: str
    remedy: str
    source: str = ""
    line: int = 0


def analyze(objects: Objects, names: Iterable[str] = tuple(ANALYSERS)) -> tuple[Message, ...]:
    """What the named analysers say, in the order of files, without what the objects' own annotation suppresses."""
    findings = (finding for name in names for finding in ANALYSERS[name](objects))
    messages = [_message(finding) for finding in findings if not _suppressed(finding)]
    return tuple(sorted(messages, key=lambda each: (each.source, each.line, each.origin, each.code, each.text)))


def _suppressed(finding: Finding) -> bool:
    told = finding.item.annotations.get(SUPPRESS, "")
    return told == "*" or finding.code in {each.strip() for each in told.split(",")}


def _message(finding: Finding) -> Message:
    code, item = CODES[finding.code], finding.item
    words = code.words.format(*(", ".join(map(str, each)) if isinstance(each, (list, tuple)) else each for each in finding.args))
    return Message(
        code=finding.code,
        name=code.name,
        level=code.level,
        origin=item.origin,
        namespace=item.namespace,
        text=words.replace("..", "."),
        remedy=code.remedy,
        source=item.source,
        line=item.line(*finding.path),
    )
