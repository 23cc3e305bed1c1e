"""Rulesets in the words of the two tools: iptables-restore input, and an nft script.

Why both: machines have one or the other. Equal rulesets give equal text. Must not decide what is intercepted.
"""

from collections.abc import Iterator

from lateen.netfilter.model import Action, Rule, Ruleset

__all__ = ["loading", "render_iptables", "render_nft"]

_HOOKS = ("PREROUTING", "OUTPUT")


def loading(tool: str, ruleset: Ruleset) -> tuple[tuple[str, ...], str]:
    """The command line that loads the rules with the tool at that path (`nft` or `iptables-restore`), and its input."""
    if tool.rpartition("/")[2] == "nft":
        return (tool, "-f", "-"), render_nft(ruleset)
    return (tool, "-w", "5"), render_iptables(ruleset)


def render_iptables(ruleset: Ruleset) -> str:
    """Input of `iptables-restore` (or `ip6tables-restore`, for IPv6)."""
    lines: list[str] = []
    for table in ruleset.tables:
        lines.append(f"*{table.name}")
        lines += [f"-N {chain}" for chain in table.chains]
        lines += [
            " ".join((f"-A {rule.chain}", *_iptables_conditions(rule), f"-j {_iptables_target(rule.action)}")) for rule in table.rules
        ]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def _iptables_conditions(rule: Rule) -> Iterator[str]:
    plain = (
        ("-i {}", rule.in_interface),
        ("-o {}", rule.out_interface),
        ("-s {}", rule.source),
        ("-d {}", rule.destination),
        ("! -d {}", rule.not_destination),
        ("-p {}", rule.protocol),
        ("--sport {}", rule.source_port),
        ("--dport {}", rule.port),
        ("! --dport {}" if len(rule.not_ports) == 1 else "-m multiport ! --dports {}", ",".join(rule.not_ports)),
        ("-m mark --mark {}", rule.mark),
        ("-m mark ! --mark {}", rule.not_mark),
        ("-m connmark --mark {}", rule.connection_mark),
        ("-m conntrack --ctstate {}", ",".join(rule.connection_states)),
    )
    yield from (words.format(value) for words, value in plain if value)
    yield from (f"-m owner {'! ' if owner.is_not else ''}--{owner.kind}-owner {owner.name}" for owner in rule.owners)


def _iptables_target(action: Action) -> str:
    words = {
        "return": "RETURN",
        "accept": "ACCEPT",
        "drop": "DROP",
        "jump": action.value,
        "redirect": f"REDIRECT --to-ports {action.value}",
        "mark": f"MARK --set-mark {action.value}",
        "save_mark": "CONNMARK --save-mark",
        "restore_mark": "CONNMARK --restore-mark",
        "tproxy": f"TPROXY --tproxy-mark {action.mark}/0xffffffff --on-port {action.value}",
        "zone": f"CT --zone {action.value}",
    }
    return words[action.kind]


def render_nft(ruleset: Ruleset) -> str:
    """A script for `nft -f`: one table of ours, whose chains carry the iptables table's name."""
    ip = "ip" if ruleset.family == 4 else "ip6"
    lines = [f"table {ip} lateen {{"]
    for table in ruleset.tables:
        # Chains are declared before the rules that jump to them.
        lines += [f" chain {table.name}_{chain} {{ }}" for chain in table.chains]
    for table in ruleset.tables:
        for chain in (*table.chains, *_HOOKS):
            rules = [rule for rule in table.rules if rule.chain == chain]
            hook = f"  {_nft_hook(table.name, chain)}" if chain in _HOOKS else ""
            if rules:
                body = [f"  {' '.join((*_nft_conditions(rule, ip), _nft_statement(rule.action, table.name)))}" for rule in rules]
                lines += [f" chain {table.name}_{chain} {{", *filter(None, (hook,)), *body, " }"]
    return "\n".join((*lines, "}")) + "\n"


def _nft_hook(table: str, chain: str) -> str:
    kind = {"nat": "nat", "raw": "filter", "mangle": "route" if chain == "OUTPUT" else "filter"}[table]
    priority = {"nat": "-100", "raw": "-300", "mangle": "-150"}[table]
    return f"type {kind} hook {chain.lower()} priority {priority};"


def _nft_conditions(rule: Rule, ip: str) -> Iterator[str]:
    protocol, ports = rule.protocol, ", ".join(rule.not_ports)
    plain = (
        ('iifname "{}"', rule.in_interface.replace("+", "*")),
        ('oifname "{}"', rule.out_interface.replace("+", "*")),
        (f"{ip} saddr {{}}", rule.source),
        (f"{ip} daddr {{}}", rule.destination),
        (f"{ip} daddr != {{}}", rule.not_destination),
        ("meta l4proto {}", protocol),
        (f"{protocol} sport {{}}", rule.source_port),
        (f"{protocol} dport {{}}", rule.port),
        (f"{protocol} dport != {{}}", f"{{ {ports} }}" if ports else ""),
        ("meta mark {}", rule.mark),
        ("meta mark != {}", rule.not_mark),
        ("ct mark {}", rule.connection_mark),
        ("ct state {}", ",".join(rule.connection_states).lower()),
    )
    yield from (words.format(value) for words, value in plain if value)
    yield from (f"meta sk{owner.kind} {'!= ' if owner.is_not else ''}{owner.name}" for owner in rule.owners)


def _nft_statement(action: Action, table: str) -> str:
    words = {
        "return": "return",
        "accept": "accept",
        "drop": "drop",
        "jump": f"jump {table}_{action.value}",
        "redirect": f"redirect to :{action.value}",
        "mark": f"meta mark set {action.value}",
        "save_mark": "ct mark set meta mark",
        "restore_mark": "meta mark set ct mark",
        "tproxy": f"tproxy to :{action.value} meta mark set {action.mark} accept",
        "zone": f"ct zone set {action.value}",
    }
    return words[action.kind]
