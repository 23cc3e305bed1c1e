"""What an interception rule is, independent of the tool that loads it.

Why: iptables and nft say the same in different words; rules are made once (`rules`) and put into words twice (`render`).
Only what Istio's rules need is here, not all of netfilter.
"""

from typing import Literal

from msgspec import Struct

__all__ = ["Action", "Hook", "Owner", "Rule", "Ruleset", "Table"]

TableName = Literal["mangle", "nat", "raw"]
Hook = Literal["PREROUTING", "OUTPUT"]


class Action(Struct, frozen=True):
    """What happens to a packet that matches; `value` is a chain, port, mark or zone."""

    kind: Literal["return", "accept", "drop", "jump", "redirect", "mark", "save_mark", "restore_mark", "tproxy", "zone"]
    value: str = ""
    mark: str = ""  # of tproxy


class Owner(Struct, frozen=True):
    """Whether the sending process runs as this user or group (a number or a name)."""

    kind: Literal["uid", "gid"]
    name: str
    is_not: bool = False


class Rule(Struct, frozen=True, kw_only=True):
    """A packet that fulfils all conditions meets the action. Empty conditions hold for every packet."""

    chain: str
    action: Action
    protocol: Literal["", "tcp", "udp"] = ""
    in_interface: str = ""
    out_interface: str = ""
    source: str = ""
    destination: str = ""
    not_destination: str = ""
    source_port: str = ""
    port: str = ""
    not_ports: tuple[str, ...] = ()
    owners: tuple[Owner, ...] = ()
    mark: str = ""
    not_mark: str = ""
    connection_mark: str = ""
    connection_states: tuple[str, ...] = ()


class Table(Struct, frozen=True, kw_only=True):
    """The rules of one table in order, and the chains of our own that they use; PREROUTING and OUTPUT are the kernel's."""

    name: TableName
    chains: tuple[str, ...]
    rules: tuple[Rule, ...]


class Ruleset(Struct, frozen=True, kw_only=True):
    """All rules of one IP version in one network namespace."""

    family: Literal[4, 6]
    tables: tuple[Table, ...]
