"""Locality load balancing: which endpoints a proxy prefers by where it runs, and where its traffic goes when they fail.

A DestinationRule's `localityLbSetting` counts, else the Service's traffic distribution, else the mesh's setting. `distribute` shares
traffic out by weight; otherwise nearer endpoints come first by priority, which Envoy leaves only for those that are ejected: without
outlier detection nothing is preferred, except where the Service asks for it. With `zoneAwareLbSetting` Envoy itself shares out among the
zones of a region, and only regions are ordered here. Must not look at what a proxy says of itself beyond its view.
"""

from collections.abc import Callable, Iterable, Mapping
from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.destinationrule import (
    LocalityDistribute,
    LocalityFailover,
    LocalityLoadBalancerSetting,
    ZoneAwareLoadBalancerSetting,
)
from lateen.model.clusterplan import EndpointsPlan, LocalityPlan
from lateen.model.destination import PortPolicy
from lateen.model.endpoint import Endpoint, Locality
from lateen.model.mesh import ClusterDefaults
from lateen.model.scope import EndpointView, Selector
from lateen.model.service import Service
from lateen.util.selectors import canonical

__all__ = ["Preference", "arrange", "labels_asked", "labels_of", "labels_seen", "preference_of", "topology", "zones_of"]

_REGION, _ZONE, _SUBZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"
_NETWORK, _CLUSTER, _NODE = "topology.istio.io/network", "topology.istio.io/cluster", "kubernetes.io/hostname"
_SAME_ZONE = (_NETWORK, _REGION, _ZONE, _SUBZONE)
_DISTRIBUTIONS = {"PreferClose": _SAME_ZONE, "PreferSameZone": _SAME_ZONE, "PreferSameNode": (*_SAME_ZONE, _NODE)}
_ANY = "*"
_STEPS = 5  # priorities that localities alone can give: same subzone, zone, region, the region that takes over, any


class Preference(Struct, frozen=True, kw_only=True):
    """How the endpoints of a cluster are preferred. `weighted`: localities share by weight, where they would not count else."""

    distribute: tuple[LocalityDistribute, ...] = ()
    failover: tuple[LocalityFailover, ...] = ()
    priority: tuple[str, ...] = ()  # labels, of which as many as possible in a row are to be equal; `label=value` asks for a value
    weighted: bool = False
    regions: bool = False  # the places of one region are alike


def zones_of(policy: PortPolicy, service: Service, mesh: ClusterDefaults) -> ZoneAwareLoadBalancerSetting | None:
    """What a DestinationRule says of zones, or the mesh where neither rule nor Service says anything of places."""
    balancer = policy.load_balancer
    if balancer is not None and (balancer.zone_aware_lb_setting is not None or balancer.locality_lb_setting is not None):
        return balancer.zone_aware_lb_setting
    return None if service.traffic_distribution in _DISTRIBUTIONS else mesh.zones


def preference_of(policy: PortPolicy, service: Service, mesh: ClusterDefaults) -> Preference | None:
    """What counts for a cluster; None where all endpoints are alike."""
    balancer, zones = policy.load_balancer, zones_of(policy, service, mesh)
    if zones is not None:
        return Preference(failover=zones.failover, priority=zones.failover_priority, regions=True) if zones.enabled is not False else None
    setting = balancer.locality_lb_setting if balancer is not None else None
    labels = _DISTRIBUTIONS.get(service.traffic_distribution, ())
    if setting is None and labels:
        return Preference(priority=labels, weighted=True)
    setting = setting or mesh.locality
    if setting is None or setting.enabled is False:
        return None
    if setting.distribute:
        return Preference(distribute=setting.distribute, weighted=True)
    if policy.outlier_detection is None:
        return None
    return Preference(
        failover=setting.failover, priority=setting.failover_priority, weighted=bool(setting.failover or setting.failover_priority)
    )


def labels_asked(setting: LocalityLoadBalancerSetting | ZoneAwareLoadBalancerSetting | None, distribution: str = "") -> tuple[str, ...]:
    """The labels of clients that endpoints are compared with."""
    named = setting.failover_priority if setting is not None else ()
    return tuple(name for name in (*named, *_DISTRIBUTIONS.get(distribution, ())) if "=" not in name)


def topology(locality: Locality, *, network: str = "", cluster: str = "", node: str = "") -> Mapping[str, str]:
    """Where something runs, as labels; what is not known is left out."""
    pairs = (
        (_REGION, locality.region),
        (_ZONE, locality.zone),
        (_SUBZONE, locality.subzone),
        (_NETWORK, network),
        (_CLUSTER, cluster),
        (_NODE, node),
    )
    return {name: value for name, value in pairs if value}


def labels_of(endpoint: Endpoint) -> Mapping[str, str]:
    """An endpoint's labels, and where it is."""
    place = topology(endpoint.locality, network=endpoint.network, cluster=endpoint.cluster, node=endpoint.node)
    return {**dict(endpoint.labels), **place}


def _locality(text: str) -> Locality:
    """`region/zone/subzone`, the last parts may be missing."""
    return Locality(*[*text.split("/"), "", ""][:3])


def arrange(plan: EndpointsPlan, preference: Preference, view: EndpointView) -> EndpointsPlan:
    """The endpoints as a proxy at `view` prefers them."""
    if preference.distribute:
        return replace(plan, localities=_distributed(plan.localities, preference.distribute, view.locality))
    places = plan.localities
    if preference.priority:
        places = _by_labels(places, preference.priority, view.labels)
    if preference.regions:
        places = _by_region(places, view.locality, preference.failover)
    elif preference.failover or not preference.priority:
        places = _by_place(places, view.locality, preference.failover)
    return replace(plan, localities=places)


def _distributed(places: tuple[LocalityPlan, ...], rules: Iterable[LocalityDistribute], here: Locality) -> tuple[LocalityPlan, ...]:
    """Shares of the first rule for this place; localities that it does not name get nothing."""
    rule = next((one for one in rules if _covers(one.from_, here)), None)
    if rule is None:
        return places
    left, found = list(places), list[LocalityPlan]()
    for pattern in sorted(rule.to, key=lambda text: (text.count(_ANY), -len(text), text)):
        chosen = [place for place in left if _covers(pattern, place.locality)]
        left = [place for place in left if place not in chosen]
        total = sum(place.weight for place in chosen)
        shares = ((place, ceil(place.weight * rule.to[pattern] / total)) for place in chosen)
        found += [replace(place, weight=share) for place, share in shares if share]
    return tuple(sorted(found, key=lambda place: place.locality))


def _covers(pattern: str, place: Locality) -> bool:
    wanted = _locality(pattern)
    pairs = ((wanted.region, place.region), (wanted.zone, place.zone), (wanted.subzone, place.subzone))
    return all(want in (found, _ANY) or (not want and number > 0) for number, (want, found) in enumerate(pairs))


def _by_place(places: Iterable[LocalityPlan], here: Locality, rules: Iterable[LocalityFailover]) -> tuple[LocalityPlan, ...]:
    """The nearer the sooner; of other regions the one that is named first."""
    heir = _heir(here, rules)
    return _without_gaps(places, lambda place: place.priority * _STEPS + _distance(here, place.locality, heir))


def _by_region(places: Iterable[LocalityPlan], here: Locality, rules: Iterable[LocalityFailover]) -> tuple[LocalityPlan, ...]:
    """The own region, the one that is named first, the others."""
    heir = _heir(here, rules)
    return _without_gaps(places, lambda place: place.priority * _STEPS + _abroad(here, place.locality, heir))


def _heir(here: Locality, rules: Iterable[LocalityFailover]) -> str | None:
    return next((rule.to for rule in rules if rule.from_ == here.region), None)


def _abroad(here: Locality, there: Locality, heir: str | None) -> int:
    """0 in the own region."""
    if here.region == there.region:
        return 0
    return _STEPS - 1 if heir not in (None, there.region) else _STEPS - 2


def _distance(here: Locality, there: Locality, heir: str | None) -> int:
    if abroad := _abroad(here, there, heir):
        return abroad
    if here.zone != there.zone:
        return 2
    return int(here.subzone != there.subzone)


def _by_labels(places: Iterable[LocalityPlan], wanted: tuple[str, ...], mine: Selector) -> tuple[LocalityPlan, ...]:
    """Each place split by how many of the labels, in their order, are the proxy's."""
    values = [(name, value if equals else dict(mine).get(name, "")) for name, equals, value in (one.partition("=") for one in wanted)]
    found: list[LocalityPlan] = []
    for place in places:
        groups: dict[int, list[Endpoint]] = {}
        for endpoint in place.endpoints:
            labels = labels_of(endpoint)
            differs = next((at for at, (name, value) in enumerate(values) if labels.get(name, "") != value), len(values))
            groups.setdefault(len(values) - differs, []).append(endpoint)
        found += [
            replace(place, endpoints=tuple(group), priority=priority, weight=sum(endpoint.weight or 1 for endpoint in group))
            for priority, group in sorted(groups.items())
        ]
    return _without_gaps(found, lambda place: place.priority)


def _without_gaps(places: Iterable[LocalityPlan], rank: Callable[[LocalityPlan], int]) -> tuple[LocalityPlan, ...]:
    """Envoy wants priorities from 0 on, none left out."""
    ranked = [(rank(place), place) for place in places]
    order = {number: at for at, number in enumerate(sorted({number for number, _ in ranked}))}
    return tuple(replace(place, priority=order[number]) for number, place in ranked)


def labels_seen(wanted: Iterable[str], labels: Mapping[str, str]) -> Selector:
    """Of a proxy's labels those that preferences ask for."""
    return canonical({name: labels[name] for name in wanted if labels.get(name)})
