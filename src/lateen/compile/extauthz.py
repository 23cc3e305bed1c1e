"""Extension providers that authorize (`envoyExtAuthzHttp`, `envoyExtAuthzGrpc`): whom to ask, with what, and what a failure means."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from lateen.api.extensionproviders import EnvoyExtAuthzGrpc, EnvoyExtAuthzHttp, ExtAuthzRequestBody, ExtensionProvider
from lateen.compile.authzrules import text_match
from lateen.model.authz import ExtAuthzPlan, Match
from lateen.model.names import outbound_cluster
from lateen.util.durations import parse

__all__ = ["ext_authz"]

_TIMEOUT = 600_000_000_000  # nanoseconds: Istio's default
_FORBIDDEN = 403
_PORTS = range(1, 65536)
_STATUSES = range(200, 600)


def ext_authz(name: str, providers: Iterable[ExtensionProvider], known: Callable[[str, str], bool]) -> ExtAuthzPlan | str:
    """The plan for provider `name`, or why it cannot be used. `known`: whether a namespace ("": any) has a service of this host."""
    found = next((one for one in providers if one.name == name), None)
    if found is None:
        return f'MeshConfig has no extension provider named "{name}"'
    asked: EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc | None = found.envoy_ext_authz_http or found.envoy_ext_authz_grpc
    if asked is None:
        return f'extension provider "{name}" is of another sort; one with envoyExtAuthzHttp or envoyExtAuthzGrpc is needed'
    wrong = [*_faults(asked, known), *(_path_faults(asked) if isinstance(asked, EnvoyExtAuthzHttp) else ())]
    return f'extension provider "{name}": {"; ".join(wrong)}' if wrong else _plan(name, asked)


def _faults(asked: EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc, known: Callable[[str, str], bool]) -> Iterable[str]:
    if asked.port not in _PORTS:
        yield f"port {asked.port} is not from 1 to 65535"
    elif not known(*_service(asked.service)):
        yield f'no service is named "{asked.service}"; write [namespace/]host with the full host name'
    if asked.status_on_error and not (asked.status_on_error.isdigit() and int(asked.status_on_error) in _STATUSES):
        yield f'statusOnError "{asked.status_on_error}" is no HTTP status'


def _path_faults(asked: EnvoyExtAuthzHttp) -> Iterable[str]:
    if asked.path_prefix and not asked.path_prefix.startswith("/"):
        yield f'pathPrefix "{asked.path_prefix}" does not begin with a slash'


def _service(text: str) -> tuple[str, str]:
    namespace, _, host = text.rpartition("/")
    return namespace, host


def _plan(name: str, asked: EnvoyExtAuthzHttp | EnvoyExtAuthzGrpc) -> ExtAuthzPlan:
    host = _service(asked.service)[1]
    plan = ExtAuthzPlan(
        asked_when=f"istio-ext-authz-{name}",
        cluster=outbound_cluster(asked.port, "", host),
        authority=host,
        timeout=parse(asked.timeout) if asked.timeout is not None else _TIMEOUT,
        fail_open=asked.fail_open,
        status_on_error=int(asked.status_on_error) if asked.status_on_error else _FORBIDDEN,
        clear_route_cache=asked.clear_route_cache,
        body=_body(asked.include_request_body_in_check),
    )
    return _with_http(plan, asked) if isinstance(asked, EnvoyExtAuthzHttp) else plan


def _with_http(plan: ExtAuthzPlan, asked: EnvoyExtAuthzHttp) -> ExtAuthzPlan:
    return replace(
        plan,
        http=True,
        path_prefix=asked.path_prefix,
        request_headers=_matches(asked.include_request_headers_in_check or asked.include_headers_in_check),
        added_headers=dict(sorted(asked.include_additional_headers_in_check.items())),
        headers_on_allow=_matches(asked.headers_to_upstream_on_allow),
        headers_to_client_on_deny=_matches(asked.headers_to_downstream_on_deny),
        headers_to_client_on_allow=_matches(asked.headers_to_downstream_on_allow),
    )


def _body(body: ExtAuthzRequestBody | None) -> tuple[int, bool, bool] | None:
    return (body.max_request_bytes, body.allow_partial_message, body.pack_as_bytes) if body is not None else None


def _matches(names: Iterable[str]) -> tuple[Match, ...]:
    return tuple(text_match(name, ignore_case=True) for name in names)
