"""WasmPlugin, TrafficExtension and EnvoyFilter."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from lateen.api.envoyfilter import ConfigPatch, EnvoyFilter
from lateen.api.extensions import TrafficExtension, TrafficSelector, VmConfig, WasmConfig, WasmPlugin, WasmPluginSpec
from lateen.api.validate.report import Report
from lateen.api.validate.targets import check_targets

__all__ = ["check_envoy_filter", "check_traffic_extension", "check_wasm_plugin"]

_SCHEMES = frozenset({"", "file", "http", "https", "oci"})
_SHA256 = re.compile(r"[a-f0-9]{64}")
_LONGEST_LUA = 64 * 1024
_MOST_VARIABLES, _LONGEST_VARIABLE = 256, 2048


def check_wasm_plugin(report: Report, plugin: WasmPlugin) -> None:
    """All of one plugin."""
    at = report.at("spec")
    check_targets(at, plugin.spec.selector, plugin.spec.target_refs, plugin.spec.target_ref)
    _module(at, plugin.spec)
    _match(at, plugin.spec.match)


def check_traffic_extension(report: Report, extension: TrafficExtension) -> None:
    """All of one extension."""
    spec, at = extension.spec, report.at("spec")
    check_targets(at, spec.selector, spec.target_refs)
    if spec.wasm is None and spec.lua is None:
        at.error("one of wasm and lua is required")
    if spec.wasm is not None:
        _module(at.at("wasm"), spec.wasm)
    if spec.lua is not None:
        size = len(spec.lua.inline_code.encode())
        if not size:
            at.at("lua", "inlineCode").error("lua.inlineCode cannot be empty")
        if size > _LONGEST_LUA:
            at.at("lua", "inlineCode").error(f"lua.inlineCode exceeds maximum size of 64KB; it has {size} bytes")
    _match(at, spec.match)


def _module(report: Report, module: WasmPluginSpec | WasmConfig) -> None:
    if not module.url:
        report.at("url").error("url field needs to be set: spec.url in body should be at least 1 chars long")
    else:
        try:
            scheme = urlsplit(module.url).scheme
        except ValueError as error:
            report.at("url").error(f'"{module.url}" is not an address: {error}')
        else:
            if scheme not in _SCHEMES and "://" in module.url:
                allowed = "url must have schema one of [http, https, file, oci]"
                report.at("url").error(f'"{module.url}" contains an unsupported scheme "{scheme}": {allowed}')
    if module.sha256 and not _SHA256.fullmatch(module.sha256):
        what = "spec.sha256 in body should match ^[a-f0-9]{64}$"
        report.at("sha256").error(f'sha256 field must be 64 characters long, of 0-9 and a-f; "{module.sha256[:80]}": {what}')
    if module.vm_config is not None:
        _environment(report.at("vmConfig", "env"), module.vm_config)


def _environment(report: Report, vm: VmConfig) -> None:
    if len(vm.env) > _MOST_VARIABLES:
        report.error(f"{len(vm.env)} variables are more than {_MOST_VARIABLES}")
    seen: set[str] = set()
    for index, variable in enumerate(vm.env):
        where = report.at(index)
        if not variable.name or len(variable.name) > _LONGEST_VARIABLE:
            where.at("name").error("spec.vmConfig.env invalid: a variable needs a name of at most 256 characters")
        if variable.name in seen:
            where.at("name").error(f'duplicate env "{variable.name}"')
        seen.add(variable.name)
        if variable.value_from == "HOST" and variable.value:
            where.at("value").error("value may only be set when valueFrom is INLINE")


def _match(report: Report, selectors: Sequence[TrafficSelector]) -> None:
    for index, selector in enumerate(selectors):
        for position, port in enumerate(selector.ports):
            if not 0 < port.number <= 65535:
                message = f"spec.Match[{index}].Ports[{position}] is out of range: {port.number}"
                report.at("match", index, "ports", position, "number").error(f"{message}; a port is from 1 to 65535")


_OF_LISTENERS = frozenset({"LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER"})
_OF_ROUTES = frozenset({"ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"})
_REPLACED = frozenset({"NETWORK_FILTER", "HTTP_FILTER", "LISTENER_FILTER"})
_INSERTS = frozenset({"INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"})
_ORDERED = _REPLACED | {"HTTP_ROUTE", "FILTER_CHAIN"}


def check_envoy_filter(report: Report, envoy_filter: EnvoyFilter) -> None:
    """All of one EnvoyFilter but Envoy's own words, which are known where they are printed."""
    spec, at = envoy_filter.spec, report.at("spec")
    if spec.workload_selector is not None and spec.target_refs:
        at.error("only one of targetRefs or workloadSelector can be set")
    check_targets(at, spec.workload_selector, spec.target_refs, field="workloadSelector")
    if not (spec.workload_selector is not None or spec.target_refs):
        at.at("workloadSelector").warn("without a selector it changes every proxy of the namespace, or of the mesh in the root namespace")
    for index, patch in enumerate(spec.config_patches):
        _patch(at.at("configPatches", index), patch)


def _patch(report: Report, given: ConfigPatch) -> None:
    where, patch = given.apply_to, given.patch
    if where == "INVALID":
        report.at("applyTo").error("which objects the patch is for is required")
    if patch is None:
        report.at("patch").error("a patch is required")
        return
    operation = patch.operation
    if operation == "INVALID":
        report.at("patch", "operation").error("an operation is required")
    elif operation != "REMOVE" and patch.value is None:
        report.at("patch", "value").error(f"operation {operation} needs a value")
    if operation == "REMOVE" and where == "BOOTSTRAP":
        report.at("patch", "operation").error("nothing can be removed from the bootstrap")
    if operation in {"ADD", "MERGE", "MERGE_AND_REPLACE_LIST"} and patch.value is None:
        return
    if operation == "REPLACE" and where not in _REPLACED:
        report.at("patch", "operation").warn(f"operation REPLACE is not read for {where}; it is for NETWORK_FILTER and HTTP_FILTER")
    if operation in _INSERTS and where not in _ORDERED:
        report.at("patch", "operation").warn(f"operation {operation} is not read for {where}, whose order means nothing")
    _matched(report.at("match"), given)


def _matched(report: Report, given: ConfigPatch) -> None:
    match, where = given.match, given.apply_to
    if match is None:
        return
    if match.waypoint is not None and match.context != "WAYPOINT":
        report.error('Invalid value: "object": only support waypointMatch when context is WAYPOINT')
    if match.proxy is not None and match.proxy.proxy_version:
        try:
            re.compile(match.proxy.proxy_version)
        except re.error as error:
            report.at("proxy", "proxyVersion").error(f'"{match.proxy.proxy_version}" is not a regular expression: {error}')
    for field, value, kinds in (
        ("listener", match.listener, _OF_LISTENERS),
        ("routeConfiguration", match.route_configuration, _OF_ROUTES),
        ("cluster", match.cluster, frozenset({"CLUSTER"})),
    ):
        if value is not None and where not in kinds and where != "INVALID":
            report.at(field).error(f"applyTo {where} cannot be matched by {field}; that is for {', '.join(sorted(kinds))}")
    chain = match.listener.filter_chain if match.listener is not None else None
    if chain is not None and chain.filter is not None:
        if where not in {"NETWORK_FILTER", "HTTP_FILTER"}:
            report.at("listener", "filterChain", "filter").error(f"a filter is matched for NETWORK_FILTER and HTTP_FILTER, not {where}")
        if where == "NETWORK_FILTER" and chain.filter.sub_filter is not None:
            report.at("listener", "filterChain", "filter", "subFilter").error("a filter within a filter is matched for HTTP_FILTER only")
