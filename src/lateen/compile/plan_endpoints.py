"""Endpoints of a cluster, grouped by where they are."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from lateen.api.destinationrule import ClientTLSSettings
from lateen.compile.locality import labels_of
from lateen.model.clusterplan import EndpointsPlan, LocalityPlan
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.frame import Owner
from lateen.util.selectors import matches

__all__ = ["plan_endpoints"]


def plan_endpoints(
    cluster: str,
    port: int,
    subset: Mapping[str, str],
    endpoints: Iterable[Endpoint],
    tls: ClientTLSSettings | None = None,
    owners: tuple[Owner, ...] = (),
) -> EndpointsPlan:
    """The endpoints of `port` that carry the subset's labels; a place weighs as much as its endpoints together.

    `tls` of a DestinationRule overrules what the workloads take.
    """
    wanted = tuple(sorted(subset.items()))
    mode = "istio" if tls is not None and tls.mode == "ISTIO_MUTUAL" else "disabled"
    places: dict[Locality, list[Endpoint]] = {}
    for endpoint in endpoints:
        if endpoint.service_port == port and (not wanted or matches(wanted, labels_of(endpoint))):
            places.setdefault(endpoint.locality, []).append(endpoint if tls is None else replace(endpoint, tls_mode=mode))
    return EndpointsPlan(
        cluster=cluster,
        owners=owners,
        localities=tuple(
            LocalityPlan(
                locality=place,
                endpoints=tuple(sorted(places[place], key=lambda e: (e.address, e.port))),
                weight=sum(endpoint.weight or 1 for endpoint in places[place]),
            )
            for place in sorted(places)
        ),
    )
