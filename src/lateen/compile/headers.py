"""Header operations of VirtualServices: order, the host header, and what is not allowed.

`:authority` and `host` in `set` or `add` of a request replace the host; other pseudo headers are dropped, as Envoy refuses them.
"""

from collections.abc import Mapping

from lateen.api.virtualservice import HeaderOperations, Headers
from lateen.model.routeplan import HeaderOpsPlan

__all__ = ["authority_of", "merged", "plan_headers"]

_HOST = (":authority", "host")


def plan_headers(headers: Headers | None) -> HeaderOpsPlan:
    """The operations, `set` before `add`, each sorted by name."""
    if headers is None:
        return HeaderOpsPlan()
    request, response = headers.request or HeaderOperations(), headers.response or HeaderOperations()
    return HeaderOpsPlan(
        request=_additions(request),
        response=_additions(response),
        request_remove=_removals(request),
        response_remove=_removals(response),
    )


def merged(first: HeaderOpsPlan, second: HeaderOpsPlan) -> HeaderOpsPlan:
    """Both operations, `first` applied before `second`."""
    return HeaderOpsPlan(
        request=first.request + second.request,
        response=first.response + second.response,
        request_remove=first.request_remove + second.request_remove,
        response_remove=first.response_remove + second.response_remove,
    )


def authority_of(headers: Headers | None) -> str:
    """The host that the operations put in place of the request's, "" = none; `set` wins over `add`."""
    if headers is None or headers.request is None:
        return ""
    for operations in (headers.request.set, headers.request.add):
        for name in sorted(operations):
            if name.lower() in _HOST:
                return operations[name]
    return ""


def _additions(operations: HeaderOperations) -> tuple[tuple[str, str, bool], ...]:
    return (*_allowed(operations.set, replace=True), *_allowed(operations.add, replace=False))


def _allowed(values: Mapping[str, str], *, replace: bool) -> tuple[tuple[str, str, bool], ...]:
    return tuple((name, values[name], replace) for name in sorted(values) if not _special(name))


def _removals(operations: HeaderOperations) -> tuple[str, ...]:
    return tuple(name for name in operations.remove if not _special(name))


def _special(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"
