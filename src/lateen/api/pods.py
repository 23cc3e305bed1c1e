"""Kubernetes' Pod, its containers, and the template that workloads make pods from.

Why: the node runs what is typed here. Fields that only a kubelet or a scheduler reads are listed as plain JSON, so
that a misspelt name is found although they are not acted on.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from lateen.api.base import IntOrString, JsonObject, Message, OpenMessage, Quantity
from lateen.api.meta import Condition, ObjectMeta, TemplateMeta

__all__ = [
    "Container",
    "ContainerPort",
    "ContainerState",
    "ContainerStateRunning",
    "ContainerStateTerminated",
    "ContainerStateWaiting",
    "ContainerStatus",
    "EnvFromSource",
    "EnvVar",
    "EnvVarSource",
    "ExecAction",
    "FieldRef",
    "GRPCAction",
    "HTTPGetAction",
    "HTTPHeader",
    "KeyRef",
    "Lifecycle",
    "LifecycleHandler",
    "NameRef",
    "Pod",
    "PodIP",
    "PodSecurityContext",
    "PodSpec",
    "PodStatus",
    "PodTemplateSpec",
    "Probe",
    "ResourceFieldRef",
    "ResourceRequirements",
    "SecurityContext",
    "SleepAction",
    "TCPSocketAction",
]

ProtocolName = Literal["TCP", "UDP", "SCTP"]
Json = tuple[JsonObject, ...]


class KeyRef(Message, frozen=True):
    """One key of a Secret or ConfigMap."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class NameRef(Message, frozen=True):
    """A whole Secret or ConfigMap."""

    name: str = ""
    optional: bool | None = None


class FieldRef(Message, frozen=True):
    """A field of the pod itself (downward API)."""

    api_version: str = ""
    field_path: str = ""


class ResourceFieldRef(Message, frozen=True):
    """A container's resource limit or request (downward API)."""

    container_name: str = ""
    resource: str = ""
    divisor: Quantity | None = None


class EnvVarSource(Message, frozen=True):
    """Where a variable's value comes from."""

    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    file_key_ref: JsonObject | None = None


class EnvVar(Message, frozen=True):
    """An environment variable."""

    name: str = ""
    value: str = ""
    value_from: EnvVarSource | None = None


class EnvFromSource(Message, frozen=True):
    """All keys of a Secret or ConfigMap as variables."""

    prefix: str = ""
    config_map_ref: NameRef | None = None
    secret_ref: NameRef | None = None


class ContainerPort(Message, frozen=True):
    """A port that the container says it listens on."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = field(name="hostIP", default="")
    protocol: ProtocolName = "TCP"


class ResourceRequirements(Message, frozen=True):
    """Requests and limits."""

    limits: Mapping[str, Quantity] = field(default_factory=dict)
    requests: Mapping[str, Quantity] = field(default_factory=dict)
    claims: Json = ()


class ExecAction(Message, frozen=True):
    """Healthy when the command exits with 0."""

    command: tuple[str, ...] = ()


class HTTPHeader(Message, frozen=True):
    """A header that a probe sends."""

    name: str = ""
    value: str = ""


class HTTPGetAction(Message, frozen=True):
    """Healthy when the answer's status is 200 to 399."""

    path: str = ""
    port: IntOrString = 0
    host: str = ""
    scheme: Literal["HTTP", "HTTPS", ""] = ""
    http_headers: tuple[HTTPHeader, ...] = ()


class TCPSocketAction(Message, frozen=True):
    """Healthy when the port takes a connection."""

    port: IntOrString = 0
    host: str = ""


class GRPCAction(Message, frozen=True):
    """Healthy when gRPC's health service says SERVING."""

    port: int = 0
    service: str = ""


class SleepAction(Message, frozen=True):
    """Waits."""

    seconds: int = 0


class Probe(Message, frozen=True):
    """A check of a container; numbers left out are Kubernetes' defaults (period 10 s, timeout 1 s, failures 3)."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class LifecycleHandler(Message, frozen=True):
    """What a hook does."""

    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Message, frozen=True):
    """Hooks after the start and before the stop."""

    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str = ""


class SecurityContext(Message, frozen=True):
    """A container's user and rights; what is set here beats the pod's."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    privileged: bool | None = None
    allow_privilege_escalation: bool | None = None
    read_only_root_filesystem: bool | None = None
    capabilities: JsonObject | None = None
    se_linux_options: JsonObject | None = None
    windows_options: JsonObject | None = None
    seccomp_profile: JsonObject | None = None
    app_armor_profile: JsonObject | None = None
    proc_mount: str = ""


class Container(Message, frozen=True):
    """A program of the pod."""

    name: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    resources: ResourceRequirements | None = None
    resize_policy: Json = ()
    restart_policy: str = ""  # "Always" in an init container makes it a native sidecar
    restart_policy_rules: Json = ()
    volume_mounts: Json = ()
    volume_devices: Json = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class PodSecurityContext(Message, frozen=True):
    """User and rights for all containers of the pod."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: tuple[int, ...] = ()
    supplemental_groups_policy: str = ""
    fs_group: int | None = None
    fs_group_change_policy: str = ""
    sysctls: Json = ()
    se_linux_options: JsonObject | None = None
    se_linux_change_policy: str = ""
    windows_options: JsonObject | None = None
    seccomp_profile: JsonObject | None = None
    app_armor_profile: JsonObject | None = None


class PodSpec(Message, frozen=True):
    """What runs in a pod; volumes are plain JSON."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    ephemeral_containers: Json = ()
    volumes: Json = ()
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    active_deadline_seconds: int | None = None
    dns_policy: str = ""
    dns_config: JsonObject | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    service_account_name: str = ""
    service_account: str = ""  # deprecated spelling of the above
    automount_service_account_token: bool | None = None
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = field(name="hostPID", default=False)
    host_ipc: bool = field(name="hostIPC", default=False)
    host_users: bool | None = None
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: Json = ()
    hostname: str = ""
    hostname_override: str | None = None
    subdomain: str = ""
    affinity: JsonObject | None = None
    scheduler_name: str = ""
    tolerations: Json = ()
    host_aliases: Json = ()
    priority_class_name: str = ""
    priority: int | None = None
    readiness_gates: Json = ()
    runtime_class_name: str = ""
    enable_service_links: bool | None = None
    preemption_policy: str = ""
    overhead: Mapping[str, Quantity] = field(default_factory=dict)
    topology_spread_constraints: Json = ()
    set_hostname_as_fqdn: bool | None = field(name="setHostnameAsFQDN", default=None)
    os: JsonObject | None = None
    scheduling_gates: Json = ()
    resource_claims: Json = ()
    resources: ResourceRequirements | None = None


class PodTemplateSpec(Message, frozen=True):
    """What a Deployment's pods look like."""

    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec = PodSpec()


class PodIP(OpenMessage, frozen=True):
    """One of the pod's addresses."""

    ip: str = ""


class ContainerStateWaiting(OpenMessage, frozen=True):
    """Not running yet, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateRunning(OpenMessage, frozen=True):
    """Running since."""

    started_at: str = ""


class ContainerStateTerminated(OpenMessage, frozen=True):
    """Ended, how and when."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str = ""
    finished_at: str = ""
    container_id: str = field(name="containerID", default="")


class ContainerState(OpenMessage, frozen=True):
    """One of the three."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(OpenMessage, frozen=True):
    """How one container is."""

    name: str = ""
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    image: str = ""
    image_id: str = field(name="imageID", default="")
    container_id: str = field(name="containerID", default="")


class PodStatus(OpenMessage, frozen=True):
    """Phase, conditions, addresses and containers."""

    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    message: str = ""
    reason: str = ""
    host_ip: str = field(name="hostIP", default="")
    pod_ip: str = field(name="podIP", default="")
    pod_ips: tuple[PodIP, ...] = field(name="podIPs", default=())
    start_time: str = ""
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Message, frozen=True):
    """v1 Pod."""

    api_version: str = "v1"
    kind: Literal["Pod"] = "Pod"
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
