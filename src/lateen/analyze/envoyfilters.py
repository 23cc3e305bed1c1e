"""EnvoyFilter: operations that are not read where they stand, or that depend on an order nobody promised."""

from collections.abc import Iterable

from lateen.analyze.objects import Finding, Objects, listing, part, text

__all__ = ["check_envoy_filters"]

_ROUTES = frozenset({"ROUTE_CONFIGURATION", "HTTP_ROUTE"})
_FILTERS = frozenset({"NETWORK_FILTER", "HTTP_FILTER"})
_ORDER = "IST0151"
_RELATIVE = frozenset({"INSERT_BEFORE", "INSERT_AFTER"})


def check_envoy_filters(objects: Objects) -> Iterable[Finding]:
    """In the order of the files, as which filter is first decides."""
    versioned: set[str] = set()
    for one in objects.of("EnvoyFilter"):
        ordered = text(one.spec, "priority") not in {"", "0"}
        for index, patch in enumerate(listing(one.spec, "configPatches")):
            if "patch" not in patch:
                break
            name = text(patch, "patch", "value", "name") or text(patch, "match", "listener", "filterChain", "filter", "name")
            code = _misused(text(patch, "patch", "operation"), text(patch, "applyTo"))
            if code == _ORDER and name in versioned:
                code = "IST0155"
            if code and not (ordered and code in {_ORDER, "IST0155"}):
                yield Finding(code=code, item=one, path=("spec", "configPatches", index))
            if text(patch, "match", "proxy", "proxyVersion"):
                versioned.add(name if part(patch, "patch", "value") else "")


def _misused(operation: str, where: str) -> str:
    """The code for an operation that is not read there, or that depends on others; "" where all is well."""
    if operation == "ADD":
        return "IST0153" if where in _ROUTES else ""
    if operation == "REMOVE":
        return "IST0154" if where in _ROUTES else _ORDER
    if operation == "REPLACE":
        return "IST0152" if where not in _FILTERS else _ORDER
    return _ORDER if operation in _RELATIVE else ""
