"""Istio's WasmPlugin and TrafficExtension: filters of the user's own."""

from typing import Literal

from lateen.api.base import Int32, JsonObject, Message, OneOf, UInt32
from lateen.api.meta import IstioStatus, ObjectMeta, PolicyTargetReference, WorkloadSelector

__all__ = [
    "EnvironmentVariable",
    "ExtensionPort",
    "LuaConfig",
    "TrafficExtension",
    "TrafficExtensionSpec",
    "TrafficSelector",
    "VmConfig",
    "WasmConfig",
    "WasmPlugin",
    "WasmPluginSpec",
]

Phase = Literal["UNSPECIFIED_PHASE", "AUTHN", "AUTHZ", "STATS"]
PullPolicy = Literal["UNSPECIFIED_POLICY", "IfNotPresent", "Always"]
PluginType = Literal["UNSPECIFIED_PLUGIN_TYPE", "HTTP", "NETWORK"]
FailStrategy = Literal["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"]


class EnvironmentVariable(Message, frozen=True):
    """A variable of the module: given here, or taken from the proxy's environment."""

    name: str = ""
    value_from: Literal["INLINE", "HOST"] = "INLINE"
    value: str = ""


class VmConfig(Message, frozen=True):
    """What the virtual machine of a module gets."""

    env: tuple[EnvironmentVariable, ...] = ()


class ExtensionPort(Message, frozen=True):
    """A port of the listener."""

    number: UInt32 = 0


class TrafficSelector(Message, frozen=True):
    """The traffic that a filter sees: its direction, and the ports (none: all)."""

    mode: Literal["UNDEFINED", "CLIENT", "SERVER", "CLIENT_AND_SERVER"] = "UNDEFINED"
    ports: tuple[ExtensionPort, ...] = ()


class WasmPluginSpec(Message, frozen=True):
    """A WebAssembly module, and where in the chain of filters it stands."""

    selector: WorkloadSelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    url: str = ""
    sha256: str = ""
    image_pull_policy: PullPolicy = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: JsonObject | None = None
    plugin_name: str = ""
    phase: Phase = "UNSPECIFIED_PHASE"
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    priority: Int32 | None = None
    vm_config: VmConfig | None = None
    match: tuple[TrafficSelector, ...] = ()
    type: PluginType = "UNSPECIFIED_PLUGIN_TYPE"


class WasmPlugin(Message, frozen=True):
    """extensions.istio.io WasmPlugin, all versions."""

    api_version: str = "extensions.istio.io/v1alpha1"
    kind: Literal["WasmPlugin"] = "WasmPlugin"
    metadata: ObjectMeta = ObjectMeta()
    spec: WasmPluginSpec = WasmPluginSpec()
    status: IstioStatus | None = None


class WasmConfig(Message, frozen=True):
    """A WebAssembly module."""

    url: str = ""
    sha256: str = ""
    image_pull_policy: PullPolicy = "UNSPECIFIED_POLICY"
    image_pull_secret: str = ""
    verification_key: str = ""
    plugin_config: JsonObject | None = None
    plugin_name: str = ""
    fail_strategy: FailStrategy = "FAIL_CLOSE"
    vm_config: VmConfig | None = None
    type: PluginType = "UNSPECIFIED_PLUGIN_TYPE"


class LuaConfig(Message, frozen=True):
    """A Lua script with `envoy_on_request` or `envoy_on_response`."""

    inline_code: str = ""


class TrafficExtensionSpec(OneOf, frozen=True):
    """A module or a script, and where in the chain of filters it stands."""

    one_of = (("wasm", "lua"),)

    selector: WorkloadSelector | None = None
    target_refs: tuple[PolicyTargetReference, ...] = ()
    phase: Phase = "UNSPECIFIED_PHASE"
    priority: Int32 | None = None
    match: tuple[TrafficSelector, ...] = ()
    wasm: WasmConfig | None = None
    lua: LuaConfig | None = None


class TrafficExtension(Message, frozen=True):
    """extensions.istio.io TrafficExtension, all versions."""

    api_version: str = "extensions.istio.io/v1alpha1"
    kind: Literal["TrafficExtension"] = "TrafficExtension"
    metadata: ObjectMeta = ObjectMeta()
    spec: TrafficExtensionSpec = TrafficExtensionSpec()
    status: IstioStatus | None = None
