"""Names that Istio gives to clusters and servers: dashboards, EnvoyFilters and people rely on them."""

__all__ = [
    "BLACK_HOLE",
    "DYNAMIC_DNS",
    "INBOUND_PASSTHROUGH",
    "LOCAL_CLUSTER",
    "LOOPBACK",
    "PASSTHROUGH",
    "UNIX",
    "inbound_cluster",
    "outbound_cluster",
    "passed_cluster",
    "sni",
]

BLACK_HOLE = "BlackHoleCluster"
PASSTHROUGH = "PassthroughCluster"
DYNAMIC_DNS = "AllowAnyDynamicDNSCluster"
INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
LOCAL_CLUSTER = "local_cluster"
LOOPBACK = "127.0.0.1"
UNIX = "unix://"  # before the path of a socket


def outbound_cluster(port: int, subset: str, host: str) -> str:
    """The cluster of a service port, or of a subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def inbound_cluster(port: int) -> str:
    """The cluster of a port of the workload itself; it names no host."""
    return f"inbound|{port}||"


def passed_cluster(cluster: str) -> str:
    """What an outbound cluster is called at gateways that pass mutual TLS on unopened: the server name that means it."""
    _, port, subset, host = cluster.split("|")
    return sni(int(port), subset, host)


def sni(port: int, subset: str, host: str) -> str:
    """The server name a client sends in mutual TLS inside the mesh."""
    return f"outbound_.{port}_.{subset}_.{host}"
