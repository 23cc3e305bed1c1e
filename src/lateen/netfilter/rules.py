"""From settings to rules: Istio's interception (istio-iptables), as one ruleset per IP version.

Why the order: every rule of a chain is reached only by what the rules above it let through; Istio's order is kept exactly,
and `tests/peer/test_iptables.py` compares it with Istio's own files. Must not run or print anything.
"""

from typing import Literal

from lateen.netfilter.model import Action, Owner, Rule, Ruleset, Table
from lateen.netfilter.settings import Settings, of_family

__all__ = ["build"]

_RETURN = Action("return")
_INBOUND, _OUTPUT, _REDIRECT, _IN_REDIRECT = "ISTIO_INBOUND", "ISTIO_OUTPUT", "ISTIO_REDIRECT", "ISTIO_IN_REDIRECT"
_DNS, _DIVERT, _TPROXY, _DROP = "ISTIO_OUTPUT_DNS", "ISTIO_DIVERT", "ISTIO_TPROXY", "ISTIO_DROP"
_ENVOY_TO_APP_MARK = 1338  # with TPROXY: a connection of the proxy to its own application


def build(settings: Settings, family: Literal[4, 6] = 4) -> Ruleset:
    """The ruleset for one IP version; load it into an empty network namespace."""
    nat = _nat(settings, family)
    chains = (_INBOUND, _REDIRECT, _IN_REDIRECT, _OUTPUT, *((_DNS,) if settings.captures_dns else ()))
    tables = [_mangle(settings, family), Table(name="nat", chains=chains, rules=nat)]
    if settings.captures_dns:
        tables.append(Table(name="raw", chains=(_DNS, _INBOUND), rules=_raw(settings, family)))
    return Ruleset(family=family, tables=tuple(table for table in tables if table.rules))


def _loopback(settings: Settings, family: int) -> str:
    return settings.loopback if family == 4 else "::1/128"


def _passthrough_source(family: int) -> str:
    """The address from which the proxy connects to its own application."""
    return "127.0.0.6/32" if family == 4 else "::6/128"


def _proxy(settings: Settings) -> tuple[Owner, ...]:
    """Whom the proxy runs as."""
    return (*(Owner("uid", name) for name in settings.uids), *(Owner("gid", name) for name in settings.gids))


def _jump(chain: str) -> Action:
    return Action("jump", chain)


# nat: where connections go


def _nat(settings: Settings, family: int) -> tuple[Rule, ...]:
    rules = [
        *_rerouted(settings, family),
        *(Rule(chain="PREROUTING", in_interface=each, action=_RETURN) for each in settings.excluded_interfaces),
        *(Rule(chain="OUTPUT", out_interface=each, action=_RETURN) for each in settings.excluded_interfaces),
        Rule(chain=_INBOUND, protocol="tcp", port=str(settings.tunnel_port), action=_RETURN),
        Rule(chain=_REDIRECT, protocol="tcp", action=Action("redirect", str(settings.proxy_port))),
        Rule(chain=_IN_REDIRECT, protocol="tcp", action=Action("redirect", str(settings.inbound_port))),
    ]
    if settings.inbound_ports and settings.mode == "REDIRECT":
        rules += _inbound(settings, (Rule(chain=_INBOUND, protocol="tcp", action=_jump(_IN_REDIRECT)),))
    rules.append(Rule(chain="OUTPUT", action=_jump(_OUTPUT)))
    for port in settings.excluded_outbound_ports:
        rules += [
            Rule(chain=_OUTPUT, protocol="tcp", port=port, action=_RETURN),
            Rule(chain=_OUTPUT, protocol="udp", port=port, action=_RETURN),
        ]
    rules += [*_own_traffic(settings, family), *_owner_groups(settings), *_dns(settings, family), *_outbound(settings, family)]
    return tuple(rules)


def _rerouted(settings: Settings, family: int) -> list[Rule]:
    """Traffic of virtual machines behind these interfaces goes out through the proxy; each interface stands before the last."""
    names = settings.rerouted_interfaces[::-1]
    targets = _outbound_ranges(settings, family)[::-1]
    redirect = [
        Rule(chain="PREROUTING", in_interface=name, destination=target, action=_jump(_REDIRECT)) for target in targets for name in names
    ]
    return [*redirect, *(Rule(chain="PREROUTING", in_interface=name, action=_RETURN) for name in names)]


def _inbound(settings: Settings, capture: tuple[Rule, ...]) -> list[Rule]:
    """Incoming connections: the `capture` rules for each captured port, or for every port that is not excluded."""
    rules = [Rule(chain="PREROUTING", protocol="tcp", action=_jump(_INBOUND))]
    if settings.inbound_ports == ("*",):
        excluded = (Rule(chain=_INBOUND, protocol="tcp", port=port, action=_RETURN) for port in settings.excluded_inbound_ports)
        return [*rules, *excluded, *capture]
    return [*rules, *(_with_port(rule, port) for port in settings.inbound_ports for rule in capture)]


def _with_port(rule: Rule, port: str) -> Rule:
    return Rule(chain=rule.chain, protocol=rule.protocol, port=port, connection_states=rule.connection_states, action=rule.action)


def _own_traffic(settings: Settings, family: int) -> list[Rule]:
    """What the proxy itself sends, and what applications send to themselves, must not come round again."""
    rules = [Rule(chain=_OUTPUT, out_interface="lo", source=_passthrough_source(family), action=_RETURN)]
    dns: tuple[str, ...] = ("53",) if settings.captures_dns else ()
    for is_proxy in _proxy(settings):
        is_app = Owner(is_proxy.kind, is_proxy.name, is_not=True)
        rules += [
            # The proxy calls its own service's address: back in through the inbound side. (Istio leaves DNS out for users only.)
            Rule(
                chain=_OUTPUT, out_interface="lo", not_destination=_loopback(settings, family), protocol="tcp", owners=(is_proxy,),
                not_ports=(*(dns if is_proxy.kind == "uid" else ()), str(settings.tunnel_port)), action=_jump(_IN_REDIRECT),
            ),
            Rule(chain=_OUTPUT, out_interface="lo", protocol="tcp" if dns else "", not_ports=dns, owners=(is_app,), action=_RETURN),
            Rule(chain=_OUTPUT, owners=(is_proxy,), action=_RETURN),
        ]  # fmt: skip
    return rules


def _owner_groups(settings: Settings) -> list[Rule]:
    if settings.owner_groups != ("*",):
        others = tuple(Owner("gid", name, is_not=True) for name in settings.owner_groups)
        return [Rule(chain=_OUTPUT, owners=others, action=_RETURN)]
    return [Rule(chain=_OUTPUT, owners=(Owner("gid", name),), action=_RETURN) for name in settings.excluded_owner_groups]


def _servers(settings: Settings, family: int) -> tuple[str, ...]:
    """The name servers whose traffic is captured, as ranges; one empty range stands for all."""
    length = 32 if family == 4 else 128
    return ("",) if settings.capture_all_dns else tuple(f"{each}/{length}" for each in of_family(settings.dns_servers, family))


def _dns(settings: Settings, family: int) -> list[Rule]:
    if not settings.captures_dns:
        return []
    redirect = Action("redirect", str(settings.dns_port))
    servers = _servers(settings, family)
    return [
        Rule(chain=_OUTPUT, action=_jump(_DNS)),
        *(Rule(chain=_DNS, protocol="tcp", port="53", destination=each, action=redirect) for each in servers),
        *(Rule(chain=_DNS, protocol="udp", port="53", destination=each, action=redirect) for each in servers),
    ]


def _outbound_ranges(settings: Settings, family: int) -> tuple[str, ...]:
    return ("",) if settings.outbound_ranges == ("*",) else of_family(settings.outbound_ranges, family)


def _outbound(settings: Settings, family: int) -> list[Rule]:
    """Outgoing connections of applications: what is left out, then what is captured by port, then by address."""
    excluded = of_family(settings.excluded_outbound_ranges, family)
    return [
        Rule(chain=_OUTPUT, destination=_loopback(settings, family), action=_RETURN),
        *(Rule(chain=_OUTPUT, destination=each, action=_RETURN) for each in excluded),
        *(Rule(chain=_OUTPUT, protocol="tcp", port=port, action=_jump(_REDIRECT)) for port in settings.outbound_ports),
        *(Rule(chain=_OUTPUT, destination=each, action=_jump(_REDIRECT)) for each in _outbound_ranges(settings, family)),
    ]


# raw: the same DNS packet passes twice, to the proxy and onwards; two zones keep the connections apart


def _raw(settings: Settings, family: int) -> tuple[Rule, ...]:
    onwards, captured = Action("zone", "1"), Action("zone", "2")
    rules = [Rule(chain="OUTPUT", action=_jump(_DNS))]
    for owner in _proxy(settings):
        rules += [
            Rule(chain=_DNS, protocol="udp", port="53", owners=(owner,), action=onwards),
            Rule(chain=_DNS, protocol="udp", source_port=str(settings.dns_port), owners=(owner,), action=captured),
        ]
    rules.append(Rule(chain="PREROUTING", action=_jump(_INBOUND)))
    for server in _servers(settings, family):
        rules += [
            Rule(chain=_DNS, protocol="udp", port="53", destination=server, action=captured),
            Rule(chain=_INBOUND, protocol="udp", source_port="53", source=server, action=onwards),
        ]
    return tuple(rules)


# mangle: TPROXY, which keeps the client's address, and packets of no known connection


def _mangle(settings: Settings, family: int) -> Table:
    rules: list[Rule] = []
    chains: tuple[str, ...] = ()
    if settings.mode == "TPROXY" and settings.inbound_ports:
        chains = (_DIVERT, _TPROXY, _INBOUND)
        for name in settings.excluded_interfaces:
            rules += [Rule(chain="PREROUTING", in_interface=name, action=_RETURN), Rule(chain="OUTPUT", out_interface=name, action=_RETURN)]
        rules += _tproxy(settings, family)
    if settings.drop_invalid:
        chains = (*chains, _DROP)
        invalid = Rule(chain="PREROUTING", protocol="tcp", connection_states=("INVALID",), action=_jump(_DROP))
        rules = [invalid, Rule(chain=_DROP, action=Action("drop")), *rules]
    return Table(name="mangle", chains=chains, rules=tuple(rules))


def _tproxy(settings: Settings, family: int) -> list[Rule]:
    mark, to_app, loopback = str(settings.tproxy_mark), str(_ENVOY_TO_APP_MARK), _loopback(settings, family)
    capture = (
        Rule(chain=_INBOUND, protocol="tcp", connection_states=("RELATED", "ESTABLISHED"), action=_jump(_DIVERT)),
        Rule(chain=_INBOUND, protocol="tcp", action=_jump(_TPROXY)),
    )
    return [
        Rule(chain=_DIVERT, action=Action("mark", mark)),
        Rule(chain=_DIVERT, action=Action("accept")),
        Rule(chain=_TPROXY, not_destination=loopback, protocol="tcp", action=Action("tproxy", str(settings.inbound_port), mark)),
        Rule(chain=_INBOUND, protocol="tcp", mark=mark, action=_RETURN),
        Rule(chain=_INBOUND, protocol="tcp", source=_passthrough_source(family), in_interface="lo", action=_RETURN),
        Rule(chain=_INBOUND, protocol="tcp", in_interface="lo", not_mark=to_app, action=_RETURN),
        *_inbound(settings, capture),
        Rule(chain="PREROUTING", protocol="tcp", mark=mark, action=Action("save_mark")),
        Rule(chain="OUTPUT", protocol="tcp", out_interface="lo", mark=mark, action=_RETURN),
        *(
            Rule(
                chain="OUTPUT", not_destination=loopback, protocol="tcp", out_interface="lo", owners=(owner,), action=Action("mark", to_app)
            )
            for owner in _proxy(settings)
        ),
        Rule(chain="OUTPUT", protocol="tcp", connection_mark=mark, action=Action("restore_mark")),
    ]
