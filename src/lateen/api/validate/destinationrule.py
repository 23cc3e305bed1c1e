"""DestinationRule."""

from lateen.api.destinationrule import DestinationRule
from lateen.api.validate.names import check_export_to, check_labels, check_selector, check_wildcard_domain, is_label
from lateen.api.validate.report import Report
from lateen.api.validate.traffic import check_traffic_policy
from lateen.util import ipnets

__all__ = ["check_destination_rule"]


def check_destination_rule(report: Report, rule: DestinationRule) -> None:
    """All of one rule."""
    spec, at = rule.spec, report.at("spec")
    if not spec.host:
        at.at("host").error("Required value: the host that the rule is for")
    elif not ipnets.is_address(spec.host):
        check_wildcard_domain(at.at("host"), spec.host)
    if spec.traffic_policy is not None:
        check_traffic_policy(at.at("trafficPolicy"), spec.traffic_policy)
    seen: set[str] = set()
    for index, subset in enumerate(spec.subsets):
        where = at.at("subsets", index)
        if not is_label(subset.name):
            where.at("name").error(f'"{subset.name}" is not a name of a subset: write letters, digits and "-"')
        elif subset.name in seen:
            where.at("name").error(f'subset "{subset.name}" is given twice')
        seen.add(subset.name)
        check_labels(where.at("labels"), subset.labels)
        if subset.traffic_policy is not None:
            check_traffic_policy(where.at("trafficPolicy"), subset.traffic_policy)
    check_export_to(at.at("exportTo"), spec.export_to)
    check_selector(at.at("workloadSelector"), spec.workload_selector)
