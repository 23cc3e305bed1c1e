"""Scripts and modules of users as HTTP filters that come as resources of their own (ECDS), so that a change drains no connection.

Must not decide where they stand (`order`) nor what they are for.
"""

from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2, extension_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.http.wasm.v3 import wasm_pb2 as http_wasm_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.wasm.v3 import wasm_pb2
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from lateen.model.extensionplan import ExtensionPlan, LuaPlan, Phase, UnavailablePlan, WasmPlan
from lateen.model.listenerplan import HttpPlan, ListenerPlan

__all__ = ["build_extension", "build_extension_slots", "extensions_in"]

_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_LUA, _WASM, _RBAC = f"{_HTTP}.lua.v3.Lua", f"{_HTTP}.wasm.v3.Wasm", f"{_HTTP}.rbac.v3.RBAC"
_RUNTIME = "envoy.wasm.runtime.v8"
_V3 = 2
_FAILURES = {"FAIL_CLOSE": "FAIL_CLOSED", "FAIL_OPEN": "FAIL_OPEN", "FAIL_RELOAD": "FAIL_RELOAD"}


def build_extension_slots(plan: HttpPlan, phase: Phase) -> Iterable[hcm_pb2.HttpFilter]:
    """The places of a chain's extensions of a phase."""
    return (_slot(one) for one in plan.extensions if one.phase == phase)


def extensions_in(plans: Iterable[ListenerPlan]) -> tuple[ExtensionPlan, ...]:
    """Those of all chains, each once."""
    found: dict[str, ExtensionPlan] = {}
    for plan in plans:
        for chain in (*plan.chains, *((plan.default,) if plan.default is not None else ())):
            if isinstance(chain.application, HttpPlan):
                found |= {one.name: one for one in chain.application.extensions}
    return tuple(found.values())


def build_extension(plan: ExtensionPlan) -> extension_pb2.TypedExtensionConfig:
    """The resource."""
    config = extension_pb2.TypedExtensionConfig(name=plan.name)
    config.typed_config.Pack(_config(plan), deterministic=True)
    return config


def _slot(plan: ExtensionPlan) -> hcm_pb2.HttpFilter:
    slot = hcm_pb2.HttpFilter(name=plan.name)
    source = slot.config_discovery
    source.type_urls.extend((_LUA,) if isinstance(plan.code, LuaPlan) else (_WASM, _RBAC))
    source.config_source.ads.SetInParent()
    source.config_source.resource_api_version = _V3
    return slot


def _config(plan: ExtensionPlan) -> Message:
    code = plan.code
    config: Message
    if isinstance(code, LuaPlan):
        source = base_pb2.DataSource(inline_string=code.code)
        config = lua_pb2.Lua(default_source_code=source)
    elif isinstance(code, UnavailablePlan):
        config = http_rbac_pb2.RBAC() if code.open else http_rbac_pb2.RBAC(rules=rbac_pb2.RBAC(action=rbac_pb2.RBAC.ALLOW))
    else:
        config = _wasm(plan.name, code)
    return config


def _wasm(name: str, code: WasmPlan) -> http_wasm_pb2.Wasm:
    config = wasm_pb2.PluginConfig(name=name, root_id=code.root)
    config.failure_policy = wasm_pb2.FailurePolicy.Value(_FAILURES[code.fails])
    config.vm_config.runtime = _RUNTIME
    if code.file:
        config.vm_config.code.local.filename = code.file
    else:
        config.vm_config.code.local.inline_bytes = code.code
    if code.variables or code.inherited:
        config.vm_config.environment_variables.host_env_keys.extend(code.inherited)
        config.vm_config.environment_variables.key_values.update(code.variables)
    if code.settings is not None:
        config.configuration.Pack(StringValue(value=code.settings))
    return http_wasm_pb2.Wasm(config=config)
