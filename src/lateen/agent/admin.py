"""What an agent asks of its Envoy's admin interface: is it ready, drain. Must not decide when."""

from msgspec import Struct

from lateen.agent.http import HttpError, Target, call
from lateen.agent.protocols import PodNetwork

__all__ = ["Admin", "Readiness", "read_readiness"]

_COUNTERS = {
    "cds_ok": "cluster_manager.cds.update_success",
    "cds_bad": "cluster_manager.cds.update_rejected",
    "lds_ok": "listener_manager.lds.update_success",
    "lds_bad": "listener_manager.lds.update_rejected",
    "state": "server.state",
    "workers": "listener_manager.workers_started",
}
_FILTER = "^(" + "|".join(name.replace(".", r"\.") for name in sorted(_COUNTERS.values())) + ")$"
_STATES = {0: "LIVE", 1: "DRAINING", 2: "PRE_INITIALIZING", 3: "INITIALIZING"}


class Readiness(Struct, frozen=True):
    """Updates received and refused, Envoy's state, and whether its workers take connections."""

    cds_ok: int = 0
    cds_bad: int = 0
    lds_ok: int = 0
    lds_bad: int = 0
    state: int = -1
    workers: int = 0

    @property
    def obstacle(self) -> str:
        """Why it is not ready, in Istio's words where it has some; "" when it is."""
        if not (self.cds_ok and self.lds_ok):
            return (
                "config not received from XDS server (is Istiod running?): "
                f"cds updates: {self.cds_ok} successful, {self.cds_bad} rejected; "
                f"lds updates: {self.lds_ok} successful, {self.lds_bad} rejected"
            )
        if self.state != 0:
            return f"server is not live, current state is: {_STATES.get(self.state, 'unknown')}"
        return "" if self.workers else "workers have not yet started"


class Admin:
    """One Envoy's admin interface."""

    def __init__(self, network: PodNetwork, port: int) -> None:
        self._network = network
        self._target = Target("127.0.0.1", port)

    async def obstacle(self, seconds: float = 1.0) -> str:
        """Why Envoy is not ready; "" when it is."""
        try:
            said = await call(self._network, self._target, "GET", f"/stats?usedonly&filter={_quoted(_FILTER)}", seconds=seconds)
        except HttpError as error:
            return f"failed to get readiness stats: {error}"
        return read_readiness(said.body.decode(errors="replace")).obstacle

    async def drain(self, *, inbound_only: bool) -> None:
        """Let connections end by themselves and tell clients to go; HttpError when Envoy does not hear it."""
        query = "inboundonly&graceful" if inbound_only else "graceful"
        await call(self._network, self._target, "POST", f"/drain_listeners?{query}", seconds=2.0)


def read_readiness(stats: str) -> Readiness:
    """From lines `name: value`; what is missing was never counted."""
    values = dict(line.split(": ", 1) for line in stats.splitlines() if ": " in line)
    found = {field: int(values[name]) for field, name in _COUNTERS.items() if values.get(name, "").isdigit()}
    return Readiness(**found)


def _quoted(regex: str) -> str:
    return regex.replace("|", "%7C").replace("^", "%5E").replace("\\", "%5C")
