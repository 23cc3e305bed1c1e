"""Refuses a connection of bytes before its server is contacted, where the rules tell by then that it is refused (docs/decisions/017).

Envoy's network RBAC decides at the client's first byte; a server that speaks first has been connected to and has greeted by then. So
what RBAC will refuse for certain is led into the black hole: by the peer's certificate as soon as the handshake is over, without TLS at
once. Anything that cannot be said in advance is left to RBAC, which stands behind in any case. Must not let anything in.
"""

from collections.abc import Iterable

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2 as chain_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.network.set_filter_state.v3 import set_filter_state_pb2

from lateen.model.authz import AllOf, Always, AnyOf, AuthzRule, AuthzStep, Condition, Match, Not, OnPort, Peer, RbacPlan, ServerName
from lateen.model.names import BLACK_HOLE
from lateen.util.wire import length_delimited

__all__ = ["NAME", "build_early_refusal"]

NAME = "lateen.refusal"
_KEY = "envoy.tcp_proxy.cluster"
_AT_HANDSHAKE = 2  # field `on_downstream_tls_handshake` of the filter's configuration, which xds-protos does not know yet
_PEER, _SERVER_NAME = "connection.uri_san_peer_certificate", "connection.requested_server_name"
_TRUE, _FALSE = "true", "false"
_TYPE = "type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config"


def build_early_refusal(steps: Iterable[AuthzStep], *, secured: bool) -> chain_pb2.Filter | None:
    """The filter, for a chain with client certificates (`secured`) or without TLS; None where nothing can be said in advance."""
    refused = _refused([step for step in steps if isinstance(step, RbacPlan)], _Words(_PEER if secured else "''"))
    if refused == _FALSE:
        return None
    text = substitution_format_string_pb2.SubstitutionFormatString()
    text.text_format_source.inline_string = f"%CEL({refused} ? '{BLACK_HOLE}' : '')%"
    value = value_pb2.FilterStateValue(object_key=_KEY, format_string=text, skip_if_empty=True)
    network_filter = chain_pb2.Filter(name=NAME)
    if secured:
        network_filter.typed_config.type_url = _TYPE
        network_filter.typed_config.value = length_delimited(_AT_HANDSHAKE, value.SerializeToString(deterministic=True))
    else:
        network_filter.typed_config.Pack(set_filter_state_pb2.Config(on_new_connection=[value]), deterministic=True)
    return network_filter


def _refused(steps: list[RbacPlan], words: "_Words") -> str:
    """What is certainly refused: what a DENY rule certainly matches, and what no ALLOW rule can match."""
    found = []
    for step in steps:
        if step.rules is None or step.rules.action == "LOG":
            continue
        allowing = step.rules.action == "ALLOW"
        matched = _or(words.rule(rule, unknown=allowing) for rule in step.rules.rules)
        found.append(_not(matched) if allowing else matched)
    return _or(found)


class _Words:
    """Conditions in CEL. `unknown`: what counts for a condition that CEL cannot ask."""

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def rule(self, rule: AuthzRule, *, unknown: bool) -> str:
        parts = (_or(self._say(one, unknown=unknown) for one in part) for part in (rule.operations, rule.sources))
        return _and(parts)

    def _say(self, condition: Condition, *, unknown: bool) -> str:
        match condition:
            case AllOf(conditions):
                return _and(self._say(one, unknown=unknown) for one in conditions)
            case AnyOf(conditions):
                return _or(self._say(one, unknown=unknown) for one in conditions)
            case Not(inner):
                return _not(self._say(inner, unknown=not unknown))
            case Always():
                return _TRUE
            case Peer(match):
                return _text(self._peer, match)
            case ServerName(match):
                return _text(_SERVER_NAME, match)
            case OnPort(number):
                return f"destination.port == {number}"
        return _TRUE if unknown else _FALSE


def _text(what: str, match: Match) -> str:
    if what == "''":
        return _TRUE if match.kind == "exact" and not match.text else _FALSE
    quoted = "'" + match.text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    said = {
        "exact": f"{what} == {quoted}",
        "prefix": f"{what}.startsWith({quoted})",
        "suffix": f"{what}.endsWith({quoted})",
        "regex": f"{what}.matches('^(?:{quoted[1:-1]})$')",
    }
    return said.get(match.kind, f"{what} != ''")


def _or(parts: Iterable[str]) -> str:
    kept = [part for part in dict.fromkeys(parts) if part != _FALSE]
    if _TRUE in kept:
        return _TRUE
    return f"({' || '.join(kept)})" if len(kept) > 1 else kept[0] if kept else _FALSE


def _and(parts: Iterable[str]) -> str:
    kept = [part for part in dict.fromkeys(parts) if part != _TRUE]
    if _FALSE in kept:
        return _FALSE
    return f"({' && '.join(kept)})" if len(kept) > 1 else kept[0] if kept else _TRUE


def _not(part: str) -> str:
    return {_TRUE: _FALSE, _FALSE: _TRUE}.get(part, f"!({part})")
