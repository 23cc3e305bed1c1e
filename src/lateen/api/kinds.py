"""The one table of kinds: how each is called, which versions it has, which type holds it.

Why: discovery, storage, decoding, printing and the command line must agree on names. Must not know how any is used.
A kind without a type is stored and served, but nothing in the mesh reads it.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from lateen.api import (
    core,
    envoyfilter,
    extensions,
    gatewayapi,
    gatewaycommon,
    gatewayroutes,
    networking,
    proxyconfig,
    security,
    telemetry,
    workloadgroup,
)

__all__ = ["ISTIO_GROUPS", "KINDS", "Column", "KindInfo", "by_api", "by_kind", "by_plural", "info_of", "lookup"]

StructType = type[Struct]  # spelt out here: inside KindInfo, `type` is a field

ISTIO_GROUPS = frozenset({"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io"})


class Column(Struct, frozen=True):
    """A column that `get` prints for a custom kind, as its CustomResourceDefinition says."""

    name: str
    jsonpath: str
    type: Literal["string", "date", "integer", "number", "boolean"] = "string"
    priority: int = 0  # 1: only with -o wide


class KindInfo(Struct, frozen=True, kw_only=True):
    """All names of one kind; `id` is unique in the table, so it can stand in an object's key."""

    kind: str
    group: str
    versions: tuple[str, ...]  # the first is preferred
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    type: StructType | None = None
    columns: tuple[Column, ...] = ()
    categories: tuple[str, ...] = ()
    storage_version: str = ""  # "" is the first of `versions`
    apart: str = ""  # the id, where another kind has the same name

    @property
    def id(self) -> str:
        """The kind's own name in keys."""
        return self.apart or self.kind

    @property
    def api_version(self) -> str:
        """The preferred `apiVersion`: `v1`, `networking.istio.io/v1`."""
        return self.api_version_of(self.versions[0])

    def api_version_of(self, version: str) -> str:
        """The `apiVersion` of one of the versions."""
        return f"{self.group}/{version}" if self.group else version

    @property
    def is_istio(self) -> bool:
        """Istio's own, whose JSON is protobuf's."""
        return self.group in ISTIO_GROUPS


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_HOSTS = (Column("Hostnames", ".spec.hostnames"), _AGE)


def _core(kind: str, plural: str, *short: str, type: StructType | None = None, **more: bool) -> KindInfo:  # noqa: A002
    return _kube("", kind, plural, *short, type=type, **more)


def _kube(
    group: str,
    kind: str,
    plural: str,
    *short: str,
    type: StructType | None = None,  # noqa: A002  the field's name
    all: bool = False,  # noqa: A002  kubectl's name of the category
    namespaced: bool = True,
) -> KindInfo:
    return KindInfo(
        kind=kind,
        group=group,
        versions=("v1",),
        plural=plural,
        singular=kind.lower(),
        short_names=short,
        namespaced=namespaced,
        type=type,
        categories=("all",) if all else (),
    )


def _istio(
    group: str,
    kind: str,
    plural: str,
    *short: str,
    versions: tuple[str, ...] = ("v1", "v1beta1"),
    type: StructType | None = None,  # noqa: A002
    columns: Iterable[Column] = (),
    storage_version: str = "",
) -> KindInfo:
    return KindInfo(
        kind=kind,
        group=f"{group}.istio.io",
        versions=versions,
        plural=plural,
        singular=kind.lower(),
        short_names=short,
        type=type,
        columns=tuple(columns),
        categories=("istio-io", f"{group}-istio-io"),
        storage_version=storage_version,
    )


def _gateway_api(
    kind: str,
    plural: str,
    *short: str,
    type: StructType,  # noqa: A002
    versions: tuple[str, ...] = ("v1",),
    columns: Iterable[Column] = (),
    namespaced: bool = True,
    apart: str = "",
) -> KindInfo:
    return KindInfo(
        kind=kind,
        group=gatewaycommon.GROUP,
        type=type,
        versions=versions,
        plural=plural,
        singular=kind.lower(),
        short_names=short,
        namespaced=namespaced,
        columns=tuple(columns),
        categories=("gateway-api",),
        apart=apart,
    )


def _condition(name: str) -> str:
    return f'.status.conditions[?(@.type=="{name}")].status'


_THREE = ("v1", "v1beta1", "v1alpha3")

KINDS: tuple[KindInfo, ...] = (
    _core("Namespace", "namespaces", "ns", type=core.Namespace, namespaced=False),
    _core("Node", "nodes", "no", type=core.Node, namespaced=False),
    _core("Pod", "pods", "po", type=core.Pod, all=True),
    _core("Service", "services", "svc", type=core.Service, all=True),
    _core("ServiceAccount", "serviceaccounts", "sa", type=core.ServiceAccount),
    _core("Secret", "secrets", type=core.Secret),
    _core("ConfigMap", "configmaps", "cm", type=core.ConfigMap),
    _core("Event", "events", "ev", type=core.Event),
    _core("Endpoints", "endpoints", "ep"),
    _core("PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
    _core("ResourceQuota", "resourcequotas", "quota"),
    _core("LimitRange", "limitranges", "limits"),
    _kube("apps", "StatefulSet", "statefulsets", "sts", all=True),
    _kube("apps", "DaemonSet", "daemonsets", "ds", all=True),
    _kube("batch", "Job", "jobs", all=True),
    _kube("batch", "CronJob", "cronjobs", "cj", all=True),
    _kube("coordination.k8s.io", "Lease", "leases"),
    _kube("networking.k8s.io", "Ingress", "ingresses", "ing"),
    _kube("networking.k8s.io", "IngressClass", "ingressclasses", namespaced=False),
    _kube("networking.k8s.io", "NetworkPolicy", "networkpolicies", "netpol"),
    _kube("policy", "PodDisruptionBudget", "poddisruptionbudgets", "pdb"),
    _kube("rbac.authorization.k8s.io", "Role", "roles"),
    _kube("rbac.authorization.k8s.io", "RoleBinding", "rolebindings"),
    _kube("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", namespaced=False),
    _kube("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _kube("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False),
    _kube("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False),
    _kube("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", "crd", "crds", namespaced=False),
    _kube("apps", "Deployment", "deployments", "deploy", type=core.Deployment, all=True),
    _kube("apps", "ReplicaSet", "replicasets", "rs", type=core.ReplicaSet, all=True),
    _kube("discovery.k8s.io", "EndpointSlice", "endpointslices", type=core.EndpointSlice),
    _istio(
        "networking",
        "VirtualService",
        "virtualservices",
        "vs",
        versions=_THREE,
        type=networking.VirtualService,
        columns=(Column("Gateways", ".spec.gateways"), Column("Hosts", ".spec.hosts"), _AGE),
    ),
    _istio(
        "networking",
        "DestinationRule",
        "destinationrules",
        "dr",
        versions=_THREE,
        type=networking.DestinationRule,
        columns=(Column("Host", ".spec.host"), _AGE),
    ),
    _istio("networking", "Gateway", "gateways", "gw", versions=_THREE, type=networking.Gateway),
    _istio(
        "networking",
        "ServiceEntry",
        "serviceentries",
        "se",
        versions=_THREE,
        type=networking.ServiceEntry,
        columns=(
            Column("Hosts", ".spec.hosts"),
            Column("Location", ".spec.location"),
            Column("Resolution", ".spec.resolution"),
            _AGE,
        ),
    ),
    _istio(
        "networking",
        "WorkloadEntry",
        "workloadentries",
        "we",
        versions=_THREE,
        type=networking.WorkloadEntry,
        columns=(_AGE, Column("Address", ".spec.address")),
    ),
    _istio("networking", "WorkloadGroup", "workloadgroups", "wg", versions=_THREE, type=workloadgroup.WorkloadGroup, columns=(_AGE,)),
    _istio("networking", "Sidecar", "sidecars", versions=_THREE, type=networking.Sidecar),
    _istio("networking", "EnvoyFilter", "envoyfilters", versions=("v1alpha3",), type=envoyfilter.EnvoyFilter),
    _istio("networking", "ProxyConfig", "proxyconfigs", versions=("v1beta1",), type=proxyconfig.ProxyConfig),
    _istio(
        "security",
        "PeerAuthentication",
        "peerauthentications",
        "pa",
        type=security.PeerAuthentication,
        columns=(Column("Mode", ".spec.mtls.mode"), _AGE),
    ),
    _istio("security", "RequestAuthentication", "requestauthentications", "ra", type=security.RequestAuthentication),
    _istio(
        "security",
        "AuthorizationPolicy",
        "authorizationpolicies",
        "ap",
        type=security.AuthorizationPolicy,
        columns=(Column("Action", ".spec.action"), _AGE),
    ),
    _istio(
        "telemetry",
        "Telemetry",
        "telemetries",
        "telemetry",
        versions=("v1", "v1alpha1"),
        type=telemetry.Telemetry,
        columns=(_AGE,),
        storage_version="v1alpha1",
    ),
    _istio("extensions", "WasmPlugin", "wasmplugins", versions=("v1alpha1",), type=extensions.WasmPlugin, columns=(_AGE,)),
    _istio(
        "extensions", "TrafficExtension", "trafficextensions", versions=("v1alpha1",), type=extensions.TrafficExtension, columns=(_AGE,)
    ),
    _gateway_api(
        "GatewayClass",
        "gatewayclasses",
        "gc",
        type=gatewayapi.GatewayClass,
        versions=("v1", "v1beta1"),
        namespaced=False,
        columns=(
            Column("Controller", ".spec.controllerName"),
            Column("Accepted", _condition("Accepted")),
            _AGE,
            Column("Description", ".spec.description", priority=1),
        ),
    ),
    _gateway_api(
        "Gateway",
        "gateways",
        "gtw",
        type=gatewayapi.KubernetesGateway,
        versions=("v1", "v1beta1"),
        apart="KubernetesGateway",
        columns=(
            Column("Class", ".spec.gatewayClassName"),
            Column("Address", ".status.addresses[*].value"),
            Column("Programmed", _condition("Programmed")),
            _AGE,
        ),
    ),
    _gateway_api("HTTPRoute", "httproutes", type=gatewayroutes.HTTPRoute, versions=("v1", "v1beta1"), columns=_HOSTS),
    _gateway_api("GRPCRoute", "grpcroutes", type=gatewayroutes.GRPCRoute, columns=_HOSTS),
    _gateway_api("TLSRoute", "tlsroutes", type=gatewayroutes.TLSRoute, versions=("v1", "v1alpha3", "v1alpha2"), columns=(_AGE,)),
    _gateway_api("TCPRoute", "tcproutes", type=gatewayroutes.TCPRoute, versions=("v1", "v1alpha2"), columns=(_AGE,)),
    _gateway_api("UDPRoute", "udproutes", type=gatewayroutes.UDPRoute, versions=("v1", "v1alpha2"), columns=(_AGE,)),
    _gateway_api(
        "ReferenceGrant", "referencegrants", "refgrant", type=gatewayapi.ReferenceGrant, versions=("v1", "v1beta1"), columns=(_AGE,)
    ),
    _gateway_api(
        "BackendTLSPolicy",
        "backendtlspolicies",
        "btlspolicy",
        type=gatewayapi.BackendTLSPolicy,
        versions=("v1", "v1alpha3"),
        columns=(_AGE,),
    ),
    _gateway_api(
        "ListenerSet",
        "listenersets",
        "lset",
        type=gatewayapi.ListenerSet,
        columns=(Column("Accepted", _condition("Accepted")), Column("Programmed", _condition("Programmed")), _AGE),
    ),
)

_BY_KIND = {info.id: info for info in KINDS}
_BY_PLURAL = {(info.group, info.plural): info for info in KINDS}
_BY_API = {(info.api_version_of(version), info.kind): info for info in KINDS for version in info.versions}
_BY_WORD: dict[str, KindInfo] = {}
for _info in KINDS:
    for _word in (_info.plural, _info.singular, *_info.short_names):
        for _spelling in (_word, f"{_word}.{_info.group}") if _info.group else (_word,):
            _BY_WORD.setdefault(_spelling, _info)


def by_kind(kind: str) -> KindInfo | None:
    """The kind with this id."""
    return _BY_KIND.get(kind)


def info_of(kind: str) -> KindInfo:
    """The kind with this id, which is known to be in the table; ValueError where it is not."""
    info = by_kind(kind)
    if info is None:
        raise ValueError(f"{kind} is not in the table of kinds")
    return info


def by_plural(group: str, plural: str) -> KindInfo | None:
    """The kind that a URL names."""
    return _BY_PLURAL.get((group, plural))


def by_api(api_version: str, kind: str) -> KindInfo | None:
    """The kind that an object's `apiVersion` and `kind` name, in any of its versions."""
    return _BY_API.get((api_version, kind))


def lookup(word: str) -> KindInfo | None:
    """The kind a person means: plural, singular, short name or Kind, also `plural.group`; in any case."""
    return _BY_WORD.get(word.lower())
