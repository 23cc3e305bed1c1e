"""Rules that Istio's own cases do not show, and their words in both tools."""

from lateen.netfilter.model import Action, Owner, Rule, Ruleset, Table
from lateen.netfilter.render import loading, render_iptables, render_nft
from lateen.netfilter.rules import build
from lateen.netfilter.settings import Settings


def _text(settings: Settings) -> list[str]:
    return render_iptables(build(settings)).splitlines()


def test_excluded_inbound_ports_return_before_all_is_captured() -> None:
    """With every port captured, the excluded ones leave the chain first."""
    inbound = [line for line in _text(Settings(excluded_inbound_ports=("22", "15021"))) if line.startswith("-A ISTIO_INBOUND")]
    assert inbound == [
        "-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN",
        "-A ISTIO_INBOUND -p tcp --dport 22 -j RETURN",
        "-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN",
        "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT",
    ]


def test_excluded_outbound_ports_return_first() -> None:
    """An excluded port leaves before anything else is decided, for TCP and UDP."""
    outbound = [line for line in _text(Settings(excluded_outbound_ports=("3306",))) if line.startswith("-A ISTIO_OUTPUT")]
    assert outbound[:2] == ["-A ISTIO_OUTPUT -p tcp --dport 3306 -j RETURN", "-A ISTIO_OUTPUT -p udp --dport 3306 -j RETURN"]


def test_all_dns_is_captured_in_two_zones() -> None:
    """The proxy's own queries and those of apps are different connections although addresses and ports are the same."""
    lines = _text(Settings(redirect_dns=True, capture_all_dns=True))
    raw = lines[lines.index("*raw") :]
    assert "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j REDIRECT --to-ports 15053" in lines
    assert "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --uid-owner 1337 -j CT --zone 1" in raw
    assert raw.index("-A ISTIO_OUTPUT_DNS -p udp --dport 53 -m owner --gid-owner 1337 -j CT --zone 1") < raw.index(
        "-A ISTIO_OUTPUT_DNS -p udp --dport 53 -j CT --zone 2"
    )


def test_invalid_packets_are_dropped_when_asked() -> None:
    """`drop_invalid` alone makes a mangle table."""
    lines = _text(Settings(drop_invalid=True))
    assert lines[:5] == [
        "*mangle", "-N ISTIO_DROP", "-A PREROUTING -p tcp -m conntrack --ctstate INVALID -j ISTIO_DROP", "-A ISTIO_DROP -j DROP", "COMMIT",
    ]  # fmt: skip


def test_each_ip_version_has_its_own_ranges() -> None:
    """An IPv6 range stands in the IPv6 rules only."""
    settings = Settings(outbound_ranges=("10.0.0.0/8", "2001:db8::/32"))
    assert "2001:db8" not in render_iptables(build(settings, 4))
    six = render_iptables(build(settings, 6))
    assert "-d 2001:db8::/32 -j ISTIO_REDIRECT" in six
    assert "10.0.0.0" not in six
    assert "127.0.0" not in six


def test_nft_says_the_same() -> None:
    """Every condition and action has its words in nft; chains are declared before rules jump to them."""
    rules = (
        Rule(
            chain="OUTPUT", out_interface="eth+", not_destination="1.0.0.0/8", protocol="tcp", not_ports=("53", "15008"),
            owners=(Owner("uid", "1337"), Owner("gid", "5", is_not=True)), action=Action("jump", "OURS"),
        ),
        Rule(chain="OURS", in_interface="lo", source="1.0.0.0/8", protocol="udp", source_port="53", action=Action("zone", "2")),
        Rule(chain="OURS", protocol="tcp", port="80", connection_states=("RELATED", "ESTABLISHED"), action=Action("tproxy", "15006", "7")),
    )  # fmt: skip
    ruleset = Ruleset(family=4, tables=(Table(name="raw", chains=("OURS",), rules=rules),))
    assert render_nft(ruleset).splitlines() == [
        "table ip lateen {",
        " chain raw_OURS { }",
        " chain raw_OURS {",
        '  iifname "lo" ip saddr 1.0.0.0/8 meta l4proto udp udp sport 53 ct zone set 2',
        "  meta l4proto tcp tcp dport 80 ct state related,established tproxy to :15006 meta mark set 7 accept",
        " }",
        " chain raw_OUTPUT {",
        "  type filter hook output priority -300;",
        '  oifname "eth*" ip daddr != 1.0.0.0/8 meta l4proto tcp tcp dport != { 53, 15008 } meta skuid 1337 meta skgid != 5 jump raw_OURS',
        " }",
        "}",
    ]


def test_the_tool_decides_the_language() -> None:
    """A path to nft gets an nft script, iptables-restore its own input and the wish to wait for its lock."""
    ruleset = build(Settings())
    assert loading("/usr/sbin/nft", ruleset) == (("/usr/sbin/nft", "-f", "-"), render_nft(ruleset))
    assert loading("/usr/sbin/iptables-restore", ruleset) == (("/usr/sbin/iptables-restore", "-w", "5"), render_iptables(ruleset))
