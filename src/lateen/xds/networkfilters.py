"""Network filters that stand before the TCP proxy."""

from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2

from lateen.model.authz import AuthzStep, RbacPlan
from lateen.model.listenerplan import TcpPlan
from lateen.xds.dynamicdns import build_sni_lookup
from lateen.xds.filters.extauthz import build_network_ext_authz
from lateen.xds.filters.rbac import build_network_rbac

__all__ = ["build_lookup", "build_network_authz"]


def build_network_authz(steps: tuple[AuthzStep, ...]) -> list[chain_pb2.Filter]:
    """Authorization of a chain of bytes, in order."""
    return [build_network_rbac(step) if isinstance(step, RbacPlan) else build_network_ext_authz(step) for step in steps]


def build_lookup(plan: TcpPlan) -> list[chain_pb2.Filter]:
    """What finds the host that the client means, where a chain's cluster asks for it."""
    return [build_sni_lookup(plan.looks_up)] if plan.looks_up else []
