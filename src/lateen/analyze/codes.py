"""The table of messages: Istio's codes and levels where Istio has the message, LAT codes for ours; the words, and what to do, are ours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

__all__ = ["CODES", "Code", "Level"]

Level = Literal["Error", "Warning", "Info"]


class Code(NamedTuple):
    """`words` is filled with the finding's arguments, in order."""

    name: str
    level: Level
    words: str
    remedy: str


CODES: Mapping[str, Code] = MappingProxyType(
    {
        "IST0002": Code("Deprecated", "Warning", "Deprecated: {}.", ""),
        "IST0101": Code("ReferencedResourceNotFound", "Error", 'Referenced {} not found: "{}".', "Create it, or correct the name."),
        "IST0102": Code(
            "NamespaceNotInjected",
            "Info",
            "The namespace {} does not say whether its pods get a sidecar.",
            "Label it istio-injection=enabled, or istio-injection=disabled where that is meant.",
        ),
        "IST0103": Code(
            "PodMissingProxy", "Warning", "The pod {} has no sidecar.", "Restart its workload: it was made before injection was enabled."
        ),
        "IST0106": Code("SchemaValidationError", "Error", "Not valid: {}.", ""),
        "IST0107": Code(
            "MisplacedAnnotation",
            "Warning",
            "The annotation {} belongs on {}.",
            "Move it there; a Deployment's pods have theirs in spec.template.",
        ),
        "IST0108": Code("UnknownAnnotation", "Warning", "Nobody reads the annotation {}.", "Check its spelling."),
        "IST0109": Code(
            "ConflictingMeshGatewayVirtualServiceHosts",
            "Error",
            "The VirtualServices {} all have rules for {} in the mesh; only the oldest counts.",
            "Merge them into one, or delegate.",
        ),
        "IST0110": Code(
            "ConflictingSidecarWorkloadSelectors", "Error", "The Sidecars {} of namespace {} select the same pod {}.", "Let one select it."
        ),
        "IST0111": Code(
            "MultipleSidecarsWithoutWorkloadSelectors", "Error", "The Sidecars {} of namespace {} have no selector.", "Keep one of them."
        ),
        "IST0112": Code(
            "VirtualServiceDestinationPortSelectorRequired",
            "Error",
            "The destination {} has the ports {}, and the rule names none.",
            "Name one with destination.port.number.",
        ),
        "IST0116": Code(
            "DeploymentAssociatedToMultipleServices",
            "Warning",
            "Port {1} of the Deployment {0} has different protocols in the services {2}.",
            "Give the port one protocol.",
        ),
        "IST0118": Code(
            "PortNameIsNotUnderNamingConvention",
            "Info",
            "The port {} ({}, target {}) does not say its protocol, so it is guessed from the first bytes.",
            "Begin its name with the protocol, as http-web, or set appProtocol.",
        ),
        "IST0123": Code("NamespaceMultipleInjectionLabels", "Warning", "The namespace has the injection labels {}.", "Keep one of them."),
        "IST0125": Code("InvalidAnnotation", "Warning", "The annotation {} cannot be read: {}.", ""),
        "IST0126": Code(
            "UnknownMeshNetworksServiceRegistry",
            "Error",
            "The registry {} of network {} is unknown.",
            "Connect it with a secret labelled istio/multiCluster.",
        ),
        "IST0127": Code(
            "NoMatchingWorkloadsFound", "Warning", "No workload of the mesh has the labels {}.", "Correct the selector, or add sidecars."
        ),
        "IST0128": Code(
            "NoServerCertificateVerificationDestinationLevel",
            "Warning",
            "DestinationRule {} in namespace {} has TLS mode {}, but nothing checks who answers for {}.",
            "Set caCertificates.",
        ),
        "IST0129": Code(
            "NoServerCertificateVerificationPortLevel",
            "Warning",
            "DestinationRule {} in namespace {} has TLS mode {}, but nothing checks who answers for {} at port {}.",
            "Set caCertificates.",
        ),
        "IST0130": Code("VirtualServiceUnreachableRule", "Warning", "A rule is never used: {}.", ""),
        "IST0131": Code("VirtualServiceIneffectiveMatch", "Info", "A match has no effect: {}.", ""),
        "IST0132": Code(
            "VirtualServiceHostNotFoundInGateway",
            "Warning",
            "None of the hosts {} of VirtualService {} is let in by Gateway {}.",
            "Add one to the gateway's servers.",
        ),
        "IST0133": Code("SchemaWarning", "Warning", "Valid, but: {}.", ""),
        "IST0134": Code(
            "ServiceEntryAddressesRequired",
            "Warning",
            "A port of TCP, or without a protocol, is told apart by its address, and the ServiceEntry has none.",
            "Set addresses, or capture DNS so that one is given automatically.",
        ),
        "IST0135": Code("DeprecatedAnnotation", "Info", 'The annotation "{}" is deprecated{}.', ""),
        "IST0136": Code("AlphaAnnotation", "Info", 'The annotation "{}" may change: it is not stable yet.', ""),
        "IST0137": Code(
            "DeploymentConflictingPorts",
            "Warning",
            "The Deployment {0} has services {1} that lead from ports {3} to one target port {2}.",
            "Let services with one target port have one port.",
        ),
        "IST0138": Code(
            "GatewayDuplicateCertificate",
            "Warning",
            "The gateways {} share a certificate: a client that keeps its HTTP/2 connection gets 404 for the others' hosts.",
            "Give each its own certificate, or merge them.",
        ),
        "IST0139": Code("InvalidWebhook", "Error", "The webhook {} cannot be called: {}.", "Create the service, or remove the webhook."),
        "IST0140": Code(
            "IngressRouteRulesNotAffected",
            "Warning",
            "The subsets of VirtualService {} do not count for requests that come by the gateway of VirtualService {}.",
            "Name the subset in the gateway's own rule.",
        ),
        "IST0144": Code(
            "InvalidApplicationUID",
            "Warning",
            "The application runs as user 1337, whose traffic is never intercepted.",
            "Let it run as another user.",
        ),
        "IST0145": Code(
            "ConflictingGateways",
            "Error",
            "The gateway competes with {} (selector {}, port {}) for the hosts {}.",
            "Keep each host on one of them.",
        ),
        "IST0146": Code(
            "ImageAutoWithoutInjectionWarning",
            "Warning",
            "{} {} has `image: auto`, and no injector replaces it.",
            "Enable injection for it.",
        ),
        "IST0147": Code(
            "ImageAutoWithoutInjectionError",
            "Error",
            "{} {} has `image: auto`, which was not replaced.",
            "Enable injection and make it anew.",
        ),
        "IST0148": Code(
            "NamespaceInjectionEnabledByDefault", "Info", "The namespace gets sidecars because the injector is set to by default.", ""
        ),
        "IST0149": Code(
            "JwtClaimBasedRoutingWithoutRequestAuthN",
            "Error",
            "The rule asks for {}, but no RequestAuthentication reads tokens at gateway {} (pod {}).",
            "Add one that selects the gateway's pods.",
        ),
        "IST0150": Code(
            "ExternalNameServiceTypeInvalidPortName",
            "Warning",
            "A port of an ExternalName service that says no protocol, or tcp, takes the traffic of every address at that port.",
            "Begin its name with the protocol, such as https.",
        ),
        "IST0151": Code(
            "EnvoyFilterUsesRelativeOperation", "Warning", "The patch depends on what other patches have done before it.", "Set priority."
        ),
        "IST0152": Code(
            "EnvoyFilterUsesReplaceOperationIncorrectly",
            "Error",
            "REPLACE is read for NETWORK_FILTER and HTTP_FILTER only.",
            "Use MERGE, or another applyTo.",
        ),
        "IST0153": Code(
            "EnvoyFilterUsesAddOperationIncorrectly",
            "Error",
            "ADD is not read for ROUTE_CONFIGURATION and HTTP_ROUTE.",
            "Use MERGE or INSERT_FIRST.",
        ),
        "IST0154": Code(
            "EnvoyFilterUsesRemoveOperationIncorrectly", "Error", "REMOVE is not read for ROUTE_CONFIGURATION and HTTP_ROUTE.", ""
        ),
        "IST0155": Code(
            "EnvoyFilterUsesRelativeOperationWithProxyVersion",
            "Warning",
            "The patch depends on what other patches of the same filter, for one proxy version, have done before it.",
            "Set priority.",
        ),
        "IST0157": Code(
            "InvalidTelemetryProvider",
            "Warning",
            "Telemetry {} in namespace {} names no provider, and the mesh has no default.",
            "Name one in providers.",
        ),
        "IST0158": Code(
            "PodsIstioProxyImageMismatchInNamespace",
            "Warning",
            "The pods {} have another sidecar than the injector gives out now.",
            "Restart them.",
        ),
        "IST0159": Code(
            "ConflictingTelemetryWorkloadSelectors",
            "Error",
            "The Telemetries {} of namespace {} select the same pod {}.",
            "Let one select it.",
        ),
        "IST0160": Code(
            "MultipleTelemetriesWithoutWorkloadSelectors",
            "Error",
            "The Telemetries {} of namespace {} have no selector.",
            "Keep one of them.",
        ),
        "IST0161": Code(
            "InvalidGatewayCredential",
            "Error",
            "The Secret of gateway {} in namespace {} has no certificate, or no key.",
            "Give it tls.crt and tls.key.",
        ),
        "IST0162": Code(
            "GatewayPortNotDefinedOnService",
            "Warning",
            "No Service in front of the pods with {1} has port {0}.",
            "Add it to the gateway's Service.",
        ),
        "IST0163": Code("InvalidExternalControlPlaneConfig", "Warning", 'The address "{}" of webhook {} cannot be called: {}.', ""),
        "IST0164": Code(
            "ExternalControlPlaneAddressIsNotAHostname", "Info", "The address {} of webhook {} is a number.", "Use a name, which can move."
        ),
        "IST0165": Code(
            "ReferencedInternalGateway",
            "Warning",
            "VirtualService {} names {}, which is made automatically.",
            "Name the Gateway it is made from.",
        ),
        "IST0166": Code(
            "IneffectiveSelector",
            "Warning",
            "The selector fits pods of the Kubernetes Gateway {}, where selectors do not count.",
            "Use targetRefs.",
        ),
        "IST0167": Code(
            "IneffectivePolicy", "Warning", "It does nothing: {}, and has no sidecar.", "Delete it, or use a waypoint's policies."
        ),
        "IST0171": Code("NegativeConditionStatus", "Warning", "The condition {} says {}: {}.", ""),
        "IST0173": Code("DestinationRuleSubsetNotSelectPods", "Error", "The subset {} has no pods.", "Correct its labels."),
        "IST0174": Code(
            "UnknownDestinationRuleHost", "Warning", "Nobody has the host {}.", "Correct it, or add a Service or ServiceEntry."
        ),
        "IST0175": Code(
            "JwksUriFetchUnrestricted",
            "Warning",
            "{} RequestAuthentications have keys fetched from addresses of their own choice ({}).",
            "Set BLOCKED_CIDRS_IN_JWKS_URIS on the control plane.",
        ),
        "IST0176": Code(
            "GatewayAPICRDVersionBelowMinimum",
            "Warning",
            "The definition {} is of version {} where {} is the oldest that is read: objects of this kind do nothing.",
            "Install newer definitions of the Gateway API.",
        ),
        "IST0177": Code(
            "ConflictingServiceEntryProtocol",
            "Warning",
            "The ServiceEntries {} give host {} at port {} the protocols {}.",
            "Agree on one, or export them to different namespaces.",
        ),
        "LAT0001": Code(
            "OutlierDetectionNeverEjects",
            "Warning",
            "At most {} % of {} endpoints may be ejected, which is none.",
            "Raise maxEjectionPercent, or run more endpoints.",
        ),
        "LAT0002": Code(
            "RetriesOfNonIdempotentMethods",
            "Warning",
            "Requests with {} are sent again after {}: the first one may have acted.",
            "Retry them only on connect-failure and refused-stream.",
        ),
        "LAT0003": Code(
            "PoolOutlivesServer",
            "Warning",
            "Connections are kept for {}, but the server ends them after {}: requests sent meanwhile fail.",
            "Make the pool's idleTimeout the shorter one.",
        ),
        "LAT0004": Code(
            "SidecarHidesDestination",
            "Error",
            "The Sidecar {1} hides the host {0} to which this rule routes.",
            "Add it to the Sidecar's egress.",
        ),
    }
)
