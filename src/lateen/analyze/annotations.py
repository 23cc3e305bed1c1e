"""Istio's annotations on Kubernetes' kinds: unknown, on the wrong kind, with a value that cannot be, deprecated, not yet stable."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from lateen.analyze.objects import Finding, Item, Objects, listing, text

__all__ = ["check_annotations", "check_maturity"]

_KINDS = ("Namespace", "Service", "Pod", "Deployment")
_CNI = "istio-validation"
_SET_BY_CNI = frozenset(
    {
        "sidecar.istio.io/interceptionMode",
        "traffic.sidecar.istio.io/excludeInboundPorts",
        "traffic.sidecar.istio.io/includeInboundPorts",
        "traffic.sidecar.istio.io/includeOutboundIPRanges",
    }
)


class Known(NamedTuple):
    """Where an annotation belongs, and how far along it is."""

    kinds: tuple[str, ...]
    alpha: bool = True
    deprecated: bool = False
    check: Callable[[str], str] = lambda _value: ""


def _number(value: str) -> str:
    return "" if re.fullmatch(r"[0-9]+", value) else f'"{value}" is not a number'


def _truth(value: str) -> str:
    return "" if value.lower() in {"true", "false", "1", "0", "t", "f"} else f'"{value}" is not true or false'


def _ports(value: str) -> str:
    if value in {"", "*"}:
        return ""
    wrong = [each for each in value.split(",") if each.strip() and not (each.strip().isdigit() and int(each) <= 65535)]
    return f'"{wrong[0]}" is not a port' if wrong else ""


def _ranges(value: str) -> str:
    for each in value.split(",") if value not in {"", "*"} else ():
        try:
            ipaddress.ip_network(each.strip(), strict=False)
        except ValueError:
            return f'"{each}" is not a range such as 10.0.0.0/8'
    return ""


def _mode(value: str) -> str:
    return "" if value in {"REDIRECT", "TPROXY", "NONE"} else f'"{value}" is not REDIRECT, TPROXY or NONE'


_POD = ("Pod",)
_ANY = ("Any",)
_KNOWN: Mapping[str, Known] = {
    "alpha.istio.io/canonical-serviceaccounts": Known(("Service",)),
    "alpha.istio.io/kubernetes-serviceaccounts": Known(("Service",)),
    "ambient.istio.io/bypass-inbound-capture": Known(_POD),
    "ambient.istio.io/dns-capture": Known(_POD),
    "ambient.istio.io/redirection": Known(_POD),
    "ambient.istio.io/waypoint-inbound-binding": Known(("GatewayClass",)),
    "galley.istio.io/analyze-suppress": Known(_ANY),
    "gateway.istio.io/controller-version": Known(_ANY, alpha=False),
    "gateway.istio.io/name-override": Known(("Gateway",)),
    "gateway.istio.io/service-account": Known(("Gateway",)),
    "gateway.istio.io/tls-cipher-suites": Known(("Gateway",)),
    "gateway.istio.io/tls-min-version": Known(("Gateway",)),
    "inject.istio.io/templates": Known(_POD),
    "install.operator.istio.io/chart-owner": Known(_ANY),
    "install.operator.istio.io/owner-generation": Known(_ANY),
    "internal.istio.io/parents": Known(_ANY),
    "internal.istio.io/service-account-name": Known(_ANY),
    "istio.io/connectedAt": Known(("WorkloadEntry",)),
    "istio.io/disconnectedAt": Known(("WorkloadEntry",)),
    "istio.io/autoRegistrationGroup": Known(("WorkloadEntry",)),
    "istio.io/workloadController": Known(("WorkloadEntry",)),
    "istio.io/dry-run": Known(("AuthorizationPolicy",)),
    "istio.io/rev": Known(_POD),
    "istio.io/reroute-virtual-interfaces": Known(_POD),
    "istio.io/ingress-use-waypoint": Known(("Namespace", "Service")),
    "kubernetes.io/ingress.class": Known(("Ingress",), alpha=False),
    "networking.istio.io/address-type": Known(("Gateway",)),
    "networking.istio.io/exportTo": Known(("Service",)),
    "networking.istio.io/service-type": Known(("Gateway",)),
    "networking.istio.io/traffic-distribution": Known(("Service", "Namespace", "ServiceEntry")),
    "prometheus.istio.io/merge-metrics": Known(_POD, check=_truth),
    "prometheus.istio.io/scrape-targets": Known(_POD),
    "proxy.istio.io/config": Known(_POD, alpha=False),
    "proxy.istio.io/overrides": Known(_POD),
    "readiness.status.sidecar.istio.io/applicationPorts": Known(_POD, check=_ports),
    "readiness.status.sidecar.istio.io/failureThreshold": Known(_POD, check=_number),
    "readiness.status.sidecar.istio.io/initialDelaySeconds": Known(_POD, check=_number),
    "readiness.status.sidecar.istio.io/periodSeconds": Known(_POD, check=_number),
    "security.istio.io/autoMTLS": Known(_POD),
    "sidecar.istio.io/agentLogLevel": Known(_POD),
    "sidecar.istio.io/bootstrapOverride": Known(_POD),
    "sidecar.istio.io/componentLogLevel": Known(_POD),
    "sidecar.istio.io/discoveryAddress": Known(_POD, deprecated=True),
    "sidecar.istio.io/enableCoreDump": Known(_POD, deprecated=True),
    "sidecar.istio.io/extraStatTags": Known(_POD),
    "sidecar.istio.io/inject": Known(_POD, alpha=False, deprecated=True, check=_truth),
    "sidecar.istio.io/interceptionMode": Known(_POD, check=_mode),
    "sidecar.istio.io/logLevel": Known(_POD),
    "sidecar.istio.io/nativeSidecar": Known(_POD, check=_truth),
    "sidecar.istio.io/proxyCPU": Known(_POD),
    "sidecar.istio.io/proxyCPULimit": Known(_POD),
    "sidecar.istio.io/proxyImage": Known(_POD),
    "sidecar.istio.io/proxyImageType": Known(_POD),
    "sidecar.istio.io/proxyMemory": Known(_POD),
    "sidecar.istio.io/proxyMemoryLimit": Known(_POD),
    "sidecar.istio.io/rewriteAppHTTPProbers": Known(_POD, check=_truth),
    "sidecar.istio.io/statsCompression": Known(_POD, check=_truth),
    "sidecar.istio.io/statsEvictionInterval": Known(_POD),
    "sidecar.istio.io/statsFlushInterval": Known(_POD),
    "sidecar.istio.io/statsHistogramBuckets": Known(_POD),
    "sidecar.istio.io/statsInclusionPrefixes": Known(_POD, deprecated=True),
    "sidecar.istio.io/statsInclusionRegexps": Known(_POD, deprecated=True),
    "sidecar.istio.io/statsInclusionSuffixes": Known(_POD, deprecated=True),
    "sidecar.istio.io/status": Known(_POD),
    "sidecar.istio.io/userVolume": Known(_POD),
    "sidecar.istio.io/userVolumeMount": Known(_POD),
    "status.sidecar.istio.io/port": Known(_POD, check=_number),
    "topology.istio.io/controlPlaneClusters": Known(("Namespace",)),
    "traffic.istio.io/nodeSelector": Known(("Service",)),
    "traffic.sidecar.istio.io/excludeInboundPorts": Known(_POD, check=_ports),
    "traffic.sidecar.istio.io/excludeInterfaces": Known(_POD),
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": Known(_POD, check=_ranges),
    "traffic.sidecar.istio.io/excludeOutboundPorts": Known(_POD, check=_ports),
    "traffic.sidecar.istio.io/includeInboundPorts": Known(_POD, check=_ports),
    "traffic.sidecar.istio.io/includeOutboundIPRanges": Known(_POD, check=_ranges),
    "traffic.sidecar.istio.io/includeOutboundPorts": Known(_POD, check=_ports),
    "traffic.sidecar.istio.io/kubevirtInterfaces": Known(_POD),
}
# What tools of the mesh write themselves says nothing about a user's choice.
_NOT_BY_USERS = frozenset({"istio.io/rev", "ambient.istio.io/redirection", "sidecar.istio.io/status", "proxy.istio.io/overrides"})


def _of_istio(item: Item) -> Iterable[tuple[str, str]]:
    for name, value in item.annotations.items():
        if name == "kubernetes.io/ingress.class" or name.partition("/")[0].endswith("istio.io"):
            yield name, value


def check_annotations(objects: Objects) -> Iterable[Finding]:
    """On Namespaces, Services, Pods and Deployments."""
    for item in (each for kind in _KINDS for each in objects.of(kind)):
        for name, value in _of_istio(item):
            path = ("metadata", "annotations", name)
            known = _KNOWN.get(name)
            if known is None:
                yield Finding(code="IST0108", item=item, args=(name,), path=path)
                continue
            if known.deprecated and not (name == "sidecar.istio.io/inject" and name in item.labels):
                instead = ' in favour of the label "sidecar.istio.io/inject"' if name == "sidecar.istio.io/inject" else ""
                yield Finding(code="IST0135", item=item, args=(name, instead), path=path)
            if known.kinds != _ANY and item.kind not in known.kinds and name not in _NOT_BY_USERS:
                yield Finding(code="IST0107", item=item, args=(name, ", ".join(known.kinds)), path=path)
            elif problem := known.check(value):
                yield Finding(code="IST0125", item=item, args=(name, problem), path=path)


def check_maturity(objects: Objects) -> Iterable[Finding]:
    """Annotations that are not stable yet; those that the CNI plug-in sets are nobody's choice."""
    for item in (each for kind in _KINDS for each in objects.of(kind)):
        by_cni = any(text(each, "name") == _CNI for each in listing(item.spec, "initContainers"))
        for name, _ in _of_istio(item):
            known = _KNOWN.get(name)
            if known is None or not known.alpha or name in _NOT_BY_USERS or (by_cni and name in _SET_BY_CNI):
                continue
            yield Finding(code="IST0136", item=item, args=(name,), path=("metadata", "annotations", name))
