"""Names, addresses, ports and labels, as Istio takes them. Must not know any kind."""

import re
from collections.abc import Iterable, Mapping, Sequence

from lateen.api.meta import WorkloadLabels, WorkloadSelector
from lateen.api.validate.report import Report
from lateen.util import ipnets
from lateen.util.regexes import regex_fault

__all__ = [
    "check_domain",
    "check_export_to",
    "check_fqdn",
    "check_gateway_names",
    "check_labels",
    "check_port",
    "check_port_name",
    "check_regex",
    "check_selector",
    "check_wildcard_domain",
    "is_fqdn",
    "is_label",
    "split_namespaced",
]

MAX_PORT = 65535
_LABEL = re.compile(r"[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_WILDCARD_LABEL = re.compile(r"\*|(?:\*|[a-zA-Z0-9])(?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_TAG_NAME = re.compile(r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9._]{0,251}[a-zA-Z0-9])?/)?[a-zA-Z0-9](?:[-a-zA-Z0-9._]{0,61}[a-zA-Z0-9])?")
_TAG_VALUE = re.compile(r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9._]{0,61}[a-zA-Z0-9])?)?")
_LONGEST_NAME = 255
_SHOWN = 80


def is_label(text: str) -> bool:
    """Whether it is one label of a name in the DNS, such as `reviews`."""
    return _LABEL.fullmatch(text) is not None


def is_namespace(text: str) -> bool:
    """Whether a namespace may be called so."""
    return _NAMESPACE.fullmatch(text) is not None


def is_fqdn(text: str) -> bool:
    """Whether it is a name in the DNS, with or without dots; the last label is no number."""
    labels = text.removesuffix(".").split(".")
    return 0 < len(text) <= _LONGEST_NAME and all(map(is_label, labels)) and not labels[-1].isdigit()


def check_fqdn(report: Report, text: str) -> None:
    """A name in the DNS."""
    if not is_fqdn(text):
        report.error(
            f'"{text}" is not a name in the DNS: write labels of letters, digits and "-" with dots between, such as reviews.prod.svc'
        )


def check_domain(report: Report, text: str) -> None:
    """A name in the DNS whose first label may be `*` or begin with it."""
    first, _, rest = text.partition(".")
    if text != "*" and not (len(text) <= _LONGEST_NAME and _WILDCARD_LABEL.fullmatch(first) and (not rest or is_fqdn(rest))):
        report.error(f'"{text}" is not a host: write a name in the DNS; "*" may stand for its first label, such as *.example.com')


def check_wildcard_domain(report: Report, text: str) -> None:
    """As `check_domain`, and no address."""
    if ipnets.is_address(text):
        report.error(f'"{text}" is an address where a host is expected')
    else:
        check_domain(report, text)


def check_port(report: Report, number: int) -> None:
    """A port's number."""
    if not 0 < number <= MAX_PORT:
        report.error(f"{number} is not a port: port must be between 1-65535")


def check_port_name(report: Report, name: str) -> None:
    """A port's name."""
    if not is_label(name):
        report.error(f'"{name}" is not a name of a port: write letters, digits and "-"')


def check_regex(report: Report, text: str) -> None:
    """A regular expression that Envoy takes."""
    if fault := regex_fault(text):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        report.error(f'"{shown}" {fault}')


def check_labels(report: Report, labels: Mapping[str, str]) -> None:
    """Kubernetes' labels."""
    for key, value in labels.items():
        if not _TAG_NAME.fullmatch(key):
            report.at(key).error(f'"{key}" is not a label\'s name: key must not be empty, and has letters, digits, "-", "_" and "."')
        if not _TAG_VALUE.fullmatch(value):
            report.at(key).error(f'"{value}" is not a label\'s value: at most 63 letters, digits, "-", "_" and "."')


def check_selector(report: Report, selector: WorkloadSelector | WorkloadLabels | None) -> None:
    """A selector's labels: no wildcards, no empty names. One without labels is warned of."""
    if selector is None:
        return
    field = "matchLabels" if isinstance(selector, WorkloadSelector) else "labels"
    labels = selector.match_labels if isinstance(selector, WorkloadSelector) else selector.labels
    for key, value in labels.items():
        where = report.at(field, key)
        if not key:
            where.error("key must not be empty")
        if "*" in key:
            where.error(f'"{key}": wildcard not allowed in label key match')
        if "*" in value:
            where.error(f'"{value}": wildcard not allowed in label value match')
    if not labels:
        report.warn("the selector has no labels, so it selects every workload; leave it out, or name labels")


def check_export_to(report: Report, namespaces: Sequence[str], *, none: bool = False) -> None:
    """Where an object is seen: `.`, `*`, or names of namespaces; `~` for nowhere where `none`."""
    for index, each in enumerate(namespaces):
        if each in {".", "*"} or is_namespace(each):
            continue
        if each == "~" and none:
            if len(namespaces) > 1:
                report.at(index).error('"~" says nowhere and must stand alone')
            continue
        report.at(index).error(f'"{each}" is neither a namespace nor one of ".", "*"')
    _once(report, namespaces)
    if "*" in namespaces and len(namespaces) > 1:
        report.error('"*" says everywhere and must stand alone')


def _once(report: Report, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for index, each in enumerate(values):
        if each in seen:
            report.at(index).error(f'"{each}" is given twice')
        seen.add(each)


def split_namespaced(text: str) -> tuple[str, str] | None:
    """Namespace and rest of `ns/name`; None where there is not one slash."""
    namespace, slash, rest = text.partition("/")
    return (namespace, rest) if slash and "/" not in rest else None


def check_gateway_names(report: Report, gateways: Sequence[str]) -> None:
    """`mesh`, `name` or `namespace/name`; a host's name is what it once was."""
    for index, each in enumerate(gateways):
        where = report.at(index)
        parts = split_namespaced(each)
        if parts is None:
            if "/" in each or not is_fqdn(each):
                where.error(f'"{each}" names no gateway: write name, or namespace/name')
            elif "." in each:
                where.warn(f'"{each}": a gateway named by its host is no longer understood; write namespace/name')
        elif not (is_namespace(parts[0]) and is_fqdn(parts[1])):
            where.error(f'"{each}" names no gateway: write name, or namespace/name, without wildcards')
