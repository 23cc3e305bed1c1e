"""What an agent that is a process of its own is told: the environment of Istio's agents, and the files of the pod beside it."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from lateen.agent.plan import AgentPlan, Ports, Workload
from lateen.agent.proxyconfig import certificate_ttl, read_proxy_config
from lateen.api.meshconfig import ProxyConfig
from lateen.util.problem import Problem
from lateen.xds.bootstrapclusters import Tcp

__all__ = ["Told", "read_environment"]

_META = "ISTIO_META_"
_PROXY_USER = 1337
# As Istio's agents have them, below the folder that they start in.
_TOKEN = "var/run/secrets/tokens/istio-token"  # noqa: S105 - the name of a file
_ROOTS = ("var/run/secrets/istio/root-cert.pem", "etc/certs/root-cert.pem")
_OWN = {f"{_META}{name}" for name in ("CLUSTER_ID", "WORKLOAD_NAME", "DNS_CAPTURE")}


class Told(Struct, frozen=True, kw_only=True):
    """The agent's plan, and where its authority is: host:port, the name of its certificate, the files of roots and token."""

    plan: AgentPlan
    authority: str
    server_name: str
    roots: Path
    token: Path


def read_environment(env: Mapping[str, str], kind: str, root: Path) -> tuple[Told, tuple[Problem, ...]]:
    """`root` is the folder that the agent starts in; ValueError names a variable that is missing or wrong."""
    proxy, problems = read_proxy_config(ProxyConfig(), env.get("PROXY_CONFIG", ""), "PROXY_CONFIG")
    metadata = {key: value for key, value in env.items() if key.startswith(_META) and key not in _OWN}
    if "SECRET_TTL" in env:
        metadata["SECRET_TTL"] = env["SECRET_TTL"]
    server, port = _address(proxy.discovery_address, "PROXY_CONFIG discoveryAddress")
    name = env.get("ISTIOD_SAN") or server
    plan = AgentPlan(
        workload=_workload(env, kind, root),
        xds=Tcp(server, port, name),
        directory=(root / proxy.config_path).resolve(),
        trust_domain=env.get("TRUST_DOMAIN", "cluster.local"),
        cluster=env.get(f"{_META}CLUSTER_ID", "Kubernetes"),
        proxy=_with(proxy, metadata),
        user=(_PROXY_USER, _PROXY_USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid()),
        ports=_ports(env, proxy),
        certificate_ttl=certificate_ttl(_with(proxy, metadata)),
        dns=False,
        bootstrap_file=(root / env["GRPC_XDS_BOOTSTRAP"]) if env.get("GRPC_XDS_BOOTSTRAP") else None,
    )
    authority = env.get("CA_ADDR") or proxy.discovery_address
    _address(authority, "CA_ADDR")
    found = next((root / one for one in _ROOTS if (root / one).exists()), root / _ROOTS[0])
    return Told(plan=plan, authority=authority, server_name=name, roots=Path(env.get("CA_ROOT_CA") or found), token=root / _TOKEN), problems


def _with(proxy: ProxyConfig, metadata: Mapping[str, str]) -> ProxyConfig:
    return replace(proxy, proxy_metadata={**metadata, **proxy.proxy_metadata})


def _workload(env: Mapping[str, str], kind: str, root: Path) -> Workload:
    missing = [name for name in ("POD_NAME", "POD_NAMESPACE", "INSTANCE_IP") if not env.get(name)]
    if missing:
        raise ValueError(f"the environment lacks {', '.join(missing)}: set them as a pod's sidecar has them")
    name = env["POD_NAME"]
    return Workload(
        name=name,
        namespace=env["POD_NAMESPACE"],
        service_account=env.get("SERVICE_ACCOUNT") or "default",
        address=env["INSTANCE_IP"],
        workload=env.get(f"{_META}WORKLOAD_NAME") or name,
        kind=kind,
        labels=_downward(root / "etc/istio/pod/labels"),
        annotations=_downward(root / "etc/istio/pod/annotations"),
    )


def _ports(env: Mapping[str, str], proxy: ProxyConfig) -> Ports:
    try:
        health, prometheus = int(env.get("ENVOY_STATUS_PORT", 15021)), int(env.get("ENVOY_PROMETHEUS_PORT", 15090))
    except ValueError:
        raise ValueError("ENVOY_STATUS_PORT and ENVOY_PROMETHEUS_PORT: expected numbers of ports") from None
    return Ports(admin=proxy.proxy_admin_port, agent=proxy.status_port, health=health, prometheus=prometheus)


def _address(text: str, where: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f'{where}: "{text}": expected HOST:PORT')
    return host.strip("[]"), int(port)


def _downward(path: Path) -> Mapping[str, str]:
    """A file of the downward API: lines of key="value"."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {key: value[1:-1].replace('\\"', '"') for key, mark, value in pairs if mark}
