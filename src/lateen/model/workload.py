"""A pod as the mesh knows it: what endpoints, selectors and proxies ask of it, and nothing that changes with every heartbeat."""

from collections.abc import Mapping

from msgspec import Struct

from lateen.model.endpoint import Locality
from lateen.model.scope import Selector

__all__ = ["Workload"]


class Workload(Struct, frozen=True, kw_only=True):
    """A pod that runs or will run; `workload` is its Deployment or other owner, `tag` the whole as Istio writes it into endpoints."""

    name: str
    namespace: str
    workload: str
    addresses: tuple[str, ...] = ()
    labels: Selector = ()
    identity: str = ""
    tls_mode: str = "disabled"
    locality: Locality = Locality()
    cluster: str = ""
    node: str = ""
    tag: str = ""
    ports: Mapping[str, int] = {}  # named container ports
    ready: bool = False
    host_network: bool = False
