"""What a policy is for: a selector, or targets; never both. Must not know any policy."""

from collections.abc import Sequence

from lateen.api.meta import PolicyTargetReference, WorkloadLabels, WorkloadSelector
from lateen.api.validate.names import check_selector
from lateen.api.validate.report import Report

__all__ = ["check_targets"]

_ALLOWED = frozenset(
    {
        ("gateway.networking.k8s.io", "Gateway"),
        ("gateway.networking.k8s.io", "GatewayClass"),
        ("", "Service"),
        ("networking.istio.io", "ServiceEntry"),
    }
)
_MOST = 16


def check_targets(
    report: Report,
    selector: WorkloadSelector | WorkloadLabels | None,
    refs: Sequence[PolicyTargetReference],
    ref: PolicyTargetReference | None = None,
    field: str = "selector",
) -> None:
    """`report` is at the policy's spec; `field` is the selector's name."""
    check_selector(report.at(field), selector)
    if sum((selector is not None, ref is not None, bool(refs))) > 1:
        report.error("only one of targetRefs or workloadSelector can be set: only one of targetRefs or selector can be set")
    if len(refs) > _MOST:
        report.at("targetRefs").error(f"{len(refs)} targets are more than {_MOST}")
    if ref is not None:
        _check(report.at("targetRef"), ref)
    for index, each in enumerate(refs):
        _check(report.at("targetRefs", index), each)


def _check(report: Report, ref: PolicyTargetReference) -> None:
    if not ref.name:
        report.at("name").error("targetRef name must be set: Required value")
    if ref.namespace:
        report.at("namespace").error(f'targetRef namespace must not be set, as a policy is for its own namespace; it is "{ref.namespace}"')
    if ("" if ref.group == "core" else ref.group, ref.kind) not in _ALLOWED:
        allowed = ", ".join(sorted(f"{group or 'core'}/{kind}" for group, kind in _ALLOWED))
        report.error(f"targetRef must be to one of allowedTargetRefs but was {ref.group}/{ref.kind}; allowed are {allowed}")
