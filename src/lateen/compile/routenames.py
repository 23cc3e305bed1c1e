"""Names of route configurations: listeners refer to them, routes are compiled under them, EnvoyFilters match on them."""

from lateen.model.names import UNIX

__all__ = ["UNKNOWN_HOSTS", "bound_route", "gateway_route", "gateway_tls_route", "sniffed_route", "wildcard_route"]

UNKNOWN_HOSTS = "allow_any_dynamic_dns"  # of requests to ports that no service has


def wildcard_route(port: int) -> str:
    """The routes of an HTTP port that all services share."""
    return str(port)


def sniffed_route(host: str, port: int) -> str:
    """The routes of one service's port whose protocol is detected."""
    return f"{host}:{port}"


def bound_route(bind: str, port: int) -> str:
    """What a Sidecar's egress listener with an address of its own routes by: its port, or the path of its socket."""
    return bind.removeprefix(UNIX) if bind.startswith(UNIX) else wildcard_route(port)


def gateway_route(port: int, bind: str = "") -> str:
    """Plaintext HTTP of a gateway: all servers of the port. `port` is the one it listens on."""
    return f"http.{port}.{bind}" if bind else f"http.{port}"


def gateway_tls_route(port: int, port_name: str, gateway: str, namespace: str, bind: str = "") -> str:
    """One HTTPS server of a Gateway. `port` is the server's, not the one listened on."""
    name = f"https.{port}.{port_name}.{gateway}.{namespace}"
    return f"{name}.{bind}" if bind else name
