"""Istio's switches of the control plane that are environment variables, under Istio's names."""

from collections.abc import Mapping
from math import inf

from lateen.model.mesh import Settings

__all__ = ["read_settings"]

_TRUE = frozenset({"1", "t", "true"})


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that a control plane with this environment has; anything but a form of true leaves a switch off, as in Istio,
    and a number that is none is the default.
    """

    def on(name: str) -> bool:
        return environment.get(name, "").lower() in _TRUE

    try:
        streams = float(environment.get("PILOT_MAX_REQUESTS_PER_SECOND", "0"))
    except ValueError:
        streams = 0.0
    return Settings(
        quic=on("PILOT_ENABLE_QUIC_LISTENERS"),
        reached_only=on("PILOT_FILTER_GATEWAY_CLUSTER_CONFIG"),
        streams_per_second=streams if 0 < streams < inf else 0.0,
    )
