"""Text of a user's to Envoy's messages; what cannot be read is a problem of the EnvoyFilter, and that change is left out.

Types of `Any` values are looked up by name: the modules of a type's package are imported when a user names it.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator

from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from msgspec import Struct, json

from lateen.model.frame import Owner
from lateen.model.patchplan import FilterPlan, Patch, PatchMatch
from lateen.util.problem import Problem, Problems

__all__ = ["Ready", "parse_plan"]

_TYPES: dict[str, type[Message]] = {
    "LISTENER": listener_pb2.Listener,
    "FILTER_CHAIN": listener_components_pb2.FilterChain,
    "NETWORK_FILTER": listener_components_pb2.Filter,
    "HTTP_FILTER": hcm_pb2.HttpFilter,
    "LISTENER_FILTER": listener_components_pb2.ListenerFilter,
    "ROUTE_CONFIGURATION": route_pb2.RouteConfiguration,
    "VIRTUAL_HOST": route_components_pb2.VirtualHost,
    "HTTP_ROUTE": route_components_pb2.Route,
    "CLUSTER": cluster_pb2.Cluster,
    "BOOTSTRAP": bootstrap_pb2.Bootstrap,
    "EXTENSION_CONFIG": extension_pb2.TypedExtensionConfig,
}
_MERGES = ("MERGE", "MERGE_AND_REPLACE_LIST")
_NO_VALUE = ("REMOVE",)
_PACKAGE = re.compile(r"((?:envoy|udpa|xds|google\.protobuf)(?:\.[a-z0-9_]+)*)\.[A-Z]")


class Ready(Struct, frozen=True):
    """A change whose value is read; the value is never changed."""

    owner: Owner
    patch: Patch
    value: Message

    @property
    def match(self) -> PatchMatch:
        """What it asks of its place."""
        return self.patch.match

    @property
    def merges(self) -> bool:
        """Whether the value is merged into what is there."""
        return self.patch.operation in _MERGES

    @property
    def replaces_lists(self) -> bool:
        """Whether merging puts lists in the place of those that are there."""
        return self.patch.operation == "MERGE_AND_REPLACE_LIST"


def parse_plan(plan: FilterPlan) -> tuple[tuple[Ready, ...], Problems]:
    """The changes that can be made."""
    found: list[Ready] = []
    problems: list[Problem] = []
    for patch in plan.patches:
        try:
            found.append(Ready(plan.owner, patch, _value(patch)))
        except ValueError as error:
            problems.append(_problem(plan, patch, str(error)))
    return tuple(found), tuple(problems)


def _value(patch: Patch) -> Message:
    kind = _TYPES.get(patch.apply_to)
    if kind is None:
        raise ValueError(f'applyTo "{patch.apply_to}" is not known')
    message = kind()
    if not patch.text:
        if patch.operation in _NO_VALUE:
            return message
        raise ValueError(f"there is no value, which {patch.operation} needs: say what to put there")
    data = json.decode(patch.text)
    for name in _types_in(data):
        _import(name)
    try:
        json_format.ParseDict(data, message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError) as error:
        raise ValueError(f"the value is no {kind.DESCRIPTOR.full_name}: {error}") from None
    return message


def _types_in(data: object) -> Iterator[str]:
    stack = [data]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            stack.extend(one.values())
            name = one.get("@type")
            if isinstance(name, str):
                yield name.rpartition("/")[2]
        elif isinstance(one, list):
            stack.extend(one)


def _import(name: str) -> None:
    """Make a type known; one that is not there is told when the value is read."""
    match = _PACKAGE.match(name)
    if match is None:
        return
    try:
        package = importlib.import_module(match[1])
    except ImportError:
        return
    for module in pkgutil.iter_modules(package.__path__, f"{match[1]}."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)


def _problem(plan: FilterPlan, patch: Patch, message: str) -> Problem:
    key = plan.owner[0]
    path = f"spec.configPatches[{patch.index}].patch"
    return Problem(code="envoy-filter", message=message, kind=key.kind, namespace=key.namespace, name=key.name, path=path)
