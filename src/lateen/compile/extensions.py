"""WasmPlugins and TrafficExtensions: what they come to, and which of them stand in which chains of a workload, in which order.

A WasmPlugin is a TrafficExtension in an older form. Must not look into scripts and modules.
"""

import json
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from lateen.api.extensions import TrafficExtension, TrafficExtensionSpec, TrafficSelector, VmConfig, WasmConfig, WasmPlugin, WasmPluginSpec
from lateen.api.meta import Key, PolicyTargetReference
from lateen.api.objects import Secret
from lateen.compile.subjects import Subject, is_meant
from lateen.model.extensionplan import ExtensionPlan, LuaPlan, UnavailablePlan, WasmPlan
from lateen.model.listenerplan import ChainPlan, HttpPlan, ListenerPlan
from lateen.model.module import Module, ModuleRef, WantedModule
from lateen.model.scope import Selector
from lateen.util.problem import Problem, Problems
from lateen.util.selectors import canonical

__all__ = ["Extension", "compile_extension", "extensions_for", "wanted_module", "with_extensions"]

_FETCHED = ("oci", "https", "http")
_DOCKER = ".dockerconfigjson"  # entry of a Secret that opens a registry
_SIDES = {"CLIENT": ("outbound", "gateway"), "SERVER": ("inbound",)}  # other modes are all sides


class Extension(Struct, frozen=True, kw_only=True):
    """One of either kind. `seen`: roles of chains (() is all) and ports (() is all), any of which is enough."""

    plan: ExtensionPlan
    selector: Selector
    targets: tuple[PolicyTargetReference, ...]
    seen: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...]
    priority: int
    age: tuple[str, str]


def compile_extension(one: WasmPlugin | TrafficExtension, module_of: Callable[[Key], Module | None]) -> tuple[Extension | None, Problems]:
    """The extension, and what of it cannot be acted on; `module_of` has what was fetched for it."""
    spec, meta = one.spec, one.metadata
    module = _wasm(spec)
    key = Key(one.kind, meta.namespace, meta.name)
    path = "spec" if module is spec else "spec.wasm"
    code: LuaPlan | WasmPlan | UnavailablePlan
    problems: Problems = ()
    if module is not None and module.type == "NETWORK":
        return None, (_problem(key, f"{path}.type", "modules for connections of bytes are not loaded; only those for HTTP are"),)
    if module is not None:
        code, problems = _module(module, key, path, module_of(key))
    elif isinstance(spec, WasmPluginSpec) or spec.lua is None:
        return None, ()  # validation told it
    else:
        code = LuaPlan(spec.lua.inline_code)
    old = (spec.target_ref,) if isinstance(spec, WasmPluginSpec) and spec.target_ref is not None else ()
    name = f"extensions.istio.io/{one.kind.lower()}/{meta.namespace}.{meta.name}"
    return Extension(
        plan=ExtensionPlan(name=name, phase=spec.phase, code=code, owner=(key, meta.generation)),
        selector=canonical(spec.selector.match_labels) if spec.selector is not None else (),
        targets=(*spec.target_refs, *old),
        seen=tuple(_seen(match) for match in spec.match),
        priority=spec.priority or 0,
        age=(meta.creation_timestamp, meta.name),
    ), problems


def _seen(match: TrafficSelector) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return _SIDES.get(match.mode, ()), tuple(port.number for port in match.ports)


def wanted_module(one: WasmPlugin | TrafficExtension, secret_of: Callable[[str], Secret | None]) -> WantedModule | None:
    """The module to fetch for it; `secret_of` finds a Secret of its namespace by name. None where it names none, or a file."""
    spec, meta = one.spec, one.metadata
    module = _wasm(spec)
    if module is None or module.type == "NETWORK" or urlsplit(module.url).scheme not in _FETCHED:
        return None
    name = module.image_pull_secret
    secret = secret_of(name) if name else None
    ref = ModuleRef(
        url=module.url,
        sha256=module.sha256,
        pull=meta.generation if _always(module) else 0,
        secret=f"{meta.namespace}/{name}" if name else "",
    )
    return WantedModule(ref, secret.data.get(_DOCKER) if secret is not None else None)


def _wasm(spec: WasmPluginSpec | TrafficExtensionSpec) -> WasmPluginSpec | WasmConfig | None:
    return spec if isinstance(spec, WasmPluginSpec) else spec.wasm


def _always(module: WasmPluginSpec | WasmConfig) -> bool:
    """Whether every form of the object fetches anew: as asked for, else an image of the tag that moves."""
    if module.image_pull_policy != "UNSPECIFIED_POLICY":
        return module.image_pull_policy == "Always"
    if not module.url.startswith("oci://") or "@" in module.url:
        return False
    return module.url.rpartition("/")[2].partition(":")[2] in ("", "latest")


def _module(
    module: WasmPluginSpec | WasmConfig, key: Key, path: str, fetched: Module | None
) -> tuple[WasmPlan | UnavailablePlan, Problems]:
    address = urlsplit(module.url)
    lets = module.fail_strategy == "FAIL_OPEN"
    outcome = "its requests go on without it" if lets else "its requests are refused with 403"
    if address.scheme not in _FETCHED and address.scheme != "file":
        message = f"modules come from oci, https, http and file addresses, so {module.url} is not fetched and {outcome}"
        return UnavailablePlan(lets), (_problem(key, f"{path}.url", message),)
    problems: Problems = ()
    code = b""
    if address.scheme in _FETCHED:
        code = fetched.data if fetched is not None else b""
        failure = "it is being fetched" if fetched is None else fetched.failure
        if failure:
            meanwhile = "the one from before stays" if code else outcome
            problems = (_problem(key, f"{path}.url", f"the module is not there: {failure}; until it is, {meanwhile}"),)
        if not code:
            return UnavailablePlan(lets), problems
    variables = (module.vm_config or VmConfig()).env
    return WasmPlan(
        file="" if code else address.path,
        code=code,
        root=module.plugin_name,
        settings=json.dumps(module.plugin_config, sort_keys=True) if module.plugin_config is not None else None,
        fails=module.fail_strategy,
        variables=tuple(sorted((one.name, one.value) for one in variables if one.value_from == "INLINE")),
        inherited=tuple(sorted(one.name for one in variables if one.value_from == "HOST")),
    ), problems


def _problem(key: Key, path: str, message: str) -> Problem:
    return Problem(code="extension", message=message, kind=key.kind, namespace=key.namespace, name=key.name, path=path, severity="warning")


def extensions_for(extensions: Iterable[Extension], subject: Subject, root: str) -> tuple[Extension, ...]:
    """Those that count for the subject: by priority, highest first, then the root namespace's, then older first."""

    def order(one: Extension) -> tuple[int, bool, tuple[str, str], str]:
        owner = one.plan.owner[0]
        return -one.priority, owner.namespace != root, one.age, owner.kind

    found = (one for one in extensions if is_meant(one.targets, one.selector, one.plan.owner[0].namespace, subject, root))
    return tuple(sorted(found, key=order))


def with_extensions(plan: ListenerPlan, extensions: tuple[Extension, ...]) -> ListenerPlan:
    """The listener, with the extensions in those of its chains that they are for."""
    if not extensions:
        return plan
    default = _chain(plan.default, plan.port, extensions) if plan.default is not None else None
    return replace(plan, chains=tuple(_chain(chain, plan.port, extensions) for chain in plan.chains), default=default)


def _chain(chain: ChainPlan, listens: int, extensions: tuple[Extension, ...]) -> ChainPlan:
    http = chain.application
    if not isinstance(http, HttpPlan):
        return chain
    port = listens if http.role != "inbound" else chain.match.port if chain.match is not None else 0
    found = tuple(one.plan for one in extensions if _sees(one, http.role, port))
    return replace(chain, application=replace(http, extensions=found)) if found else chain


def _sees(extension: Extension, role: str, port: int) -> bool:
    return not extension.seen or any((not roles or role in roles) and (not ports or port in ports) for roles, ports in extension.seen)
