"""Istio's istio-iptables cases: the rules that result, chain by chain and in order.

The recorded files are commands; `-I` is carried out, module names (`-m tcp`) are dropped as they follow from the options, and
each rule is compared as the set of its options. How the tools are probed and cleaned up is not compared.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lateen.netfilter.render import render_iptables
from lateen.netfilter.rules import build
from lateen.netfilter.settings import Settings

pytestmark = pytest.mark.copied_from(
    "istio/istio", "tools/istio-iptables/pkg/capture/run_test.go", "86c9f01fd735fb01d8192f5bcaf0d424afb7f14c"
)

Option = tuple[bool, str, str]  # negated, name, value
Chains = dict[str, list[tuple[Option, ...]]]
Families = list[dict[str, Chains]]  # IPv4's tables, then IPv6's

# Istio's configuration field -> ours
_LISTS = {
    "InboundPortsInclude": "inbound_ports",
    "InboundPortsExclude": "excluded_inbound_ports",
    "OutboundPortsInclude": "outbound_ports",
    "OutboundPortsExclude": "excluded_outbound_ports",
    "OutboundIPRangesInclude": "outbound_ranges",
    "OutboundIPRangesExclude": "excluded_outbound_ranges",
    "RerouteVirtualInterfaces": "rerouted_interfaces",
    "ExcludeInterfaces": "excluded_interfaces",
    "OwnerGroupsInclude": "owner_groups",
    "OwnerGroupsExclude": "excluded_owner_groups",
    "ProxyUID": "uids",
    "ProxyGID": "gids",
}
_PORTS = {
    "ProxyPort": "proxy_port",
    "InboundCapturePort": "inbound_port",
    "InboundTunnelPort": "tunnel_port",
    "InboundTProxyMark": "tproxy_mark",
    "InboundTProxyRouteTable": "tproxy_table",
}
_PLAIN = {
    "HostIPv4LoopbackCidr": "loopback",
    "InboundInterceptionMode": "mode",
    "RedirectDNS": "redirect_dns",
    "CaptureAllDNS": "capture_all_dns",
    "DropInvalid": "drop_invalid",
}
_NOT_OF_THE_RULES = {"DryRun", "EnableIPv6", "DNSServersV4", "DNSServersV6"}  # the last two are read beside the tables above


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per recorded configuration."""
    folder = Path(metafunc.config.getoption("--cases")) / "iptables"
    file = folder / "expected.json"
    recorded: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"baseConfig": {}, "cases": []}
    values = [pytest.param(recorded["baseConfig"] | case["config"], folder / case["golden"], id=case["name"]) for case in recorded["cases"]]
    metafunc.parametrize(("config", "golden"), values)


def settings_of(config: dict[str, Any]) -> Settings:
    """Istio's configuration as ours; a field this reader does not know fails the case."""
    values: dict[str, Any] = {"inbound_ports": (), "excluded_inbound_ports": (), "outbound_ranges": ()}
    for field, value in config.items():
        if field in _LISTS:
            values[_LISTS[field]] = tuple(each.strip() for each in value.split(",") if each.strip())
        elif field in _PORTS:
            values[_PORTS[field]] = int(value)
        elif field in _PLAIN:
            values[_PLAIN[field]] = value
        else:
            assert field in _NOT_OF_THE_RULES, f"this reader does not know {field}"
    values["dns_servers"] = (*config.get("DNSServersV4", ()), *config.get("DNSServersV6", ()))
    return Settings(**values)


def _options(words: list[str]) -> tuple[Option, ...]:
    found: list[Option] = []
    negated, name = False, ""
    for word in words:
        if word == "!":
            negated = True
        elif word.startswith("-"):
            name = {"--to-port": "--to-ports"}.get(word, word)
            found.append((negated, name, ""))
            negated = False
        else:
            found[-1] = (found[-1][0], name, word)
    return tuple(sorted(option for option in found if option[1] != "-m"))


def read_rules(text: str) -> Families:
    """The tables that the commands leave behind; a table met a second time is IPv6's."""
    families: Families = [{}]
    chains: Chains = {}
    for words in map(str.split, text.replace("* ", "*").splitlines()):
        match words:
            case [table] if table.startswith("*"):
                if table in families[-1]:
                    families.append({})
                chains = families[-1].setdefault(table, {})
            case ["-N", chain]:
                chains.setdefault(chain, [])
            case ["-A", chain, *options]:
                chains.setdefault(chain, []).append(_options(options))
            case ["-I", chain, position, *options]:
                chains.setdefault(chain, []).insert(int(position) - 1, _options(options))
            case _:
                assert words[0] in {"COMMIT", "iptables-save", "ip6tables-save"}, f"this reader does not know {words}"
    return families


def test_rules_are_istios(config: dict[str, Any], golden: Path) -> None:
    """For each configuration every chain of every table holds Istio's rules in Istio's order."""
    settings = settings_of(config)
    ours = render_iptables(build(settings, 4))
    if config.get("EnableIPv6"):
        ours += render_iptables(build(settings, 6))
    assert read_rules(ours) == read_rules(golden.read_text())
