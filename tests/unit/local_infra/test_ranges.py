"""Which addresses and which users a node may use."""

from ipaddress import IPv4Network

import pytest

from lateen.local.namespaces import POD_RANGE, free_range, host_ranges
from lateen.local.userns import IdRange, parse_ranges

ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "tun0\t0000B10A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)


def test_ranges_of_the_host_are_its_routes() -> None:
    """The kernel's table is read; the default route takes no range."""
    assert host_ranges(ROUTES) == [IPv4Network("192.168.1.0/24"), IPv4Network("10.177.0.0/16")]


def test_the_usual_range_is_taken_when_free() -> None:
    """Without a conflict pods have the range people expect."""
    assert free_range(POD_RANGE, [IPv4Network("192.168.0.0/16")]) == POD_RANGE


def test_the_next_free_range_follows() -> None:
    """A range that overlaps a route is passed over, and the last one is followed by the first."""
    assert free_range(POD_RANGE, host_ranges(ROUTES)) == IPv4Network("10.178.0.0/16")
    upper = [IPv4Network(f"10.{number}.0.0/16") for number in range(177, 256)]
    assert free_range(POD_RANGE, upper) == IPv4Network("10.0.0.0/16")


def test_no_free_range_is_said() -> None:
    """A machine that routes all of 10.0.0.0/8 gets a sentence."""
    with pytest.raises(ValueError, match=r"Every range of 10\.0\.0\.0/8"):
        free_range(POD_RANGE, [IPv4Network("10.0.0.0/8")])


def test_ranges_of_a_user_go_by_name_or_number() -> None:
    """/etc/subuid names users either way; other users' lines and broken ones are not ours."""
    text = "root:1:2\nann:100000:65536\n1000:300000:10\nann:bad\nbob:400000:65536\n"
    assert parse_ranges(text, ("ann", "1000")) == [IdRange(first=100000, count=65536), IdRange(first=300000, count=10)]
