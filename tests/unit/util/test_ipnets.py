"""Addresses and ranges."""

import pytest

from lateen.util import ipnets


def test_a_lone_address_is_its_own_range() -> None:
    """No mask means the whole address; bits beyond the mask are dropped."""
    assert ipnets.prefix("10.1.2.3") == ("10.1.2.3", 32)
    assert ipnets.prefix("10.1.2.3/8") == ("10.0.0.0", 8)
    assert ipnets.prefix("2001:db8::1/32") == ("2001:db8::", 32)


def test_a_text_that_is_no_range_is_refused() -> None:
    """The message shows what is expected."""
    with pytest.raises(ValueError, match="neither an IP address nor a range"):
        ipnets.parse("example.com")


def test_addresses_are_told_from_names() -> None:
    """A range, a name and an address with a zone are no addresses."""
    assert ipnets.is_address("10.0.0.1") and ipnets.is_address("::1")
    assert not any(map(ipnets.is_address, ("10.0.0.0/8", "a.b", "", "fe80::1%eth0")))
    assert ipnets.is_ipv6("::1") and not ipnets.is_ipv6("10.0.0.1")


def test_families_never_contain_each_other() -> None:
    """A range holds addresses and ranges of its own family."""
    assert ipnets.contains("10.0.0.0/8", "10.9.9.9") and ipnets.contains("10.0.0.0/8", "10.1.0.0/16")
    assert not ipnets.contains("10.0.0.0/8", "11.0.0.1")
    assert not ipnets.contains("0.0.0.0/0", "::1")
    assert ipnets.contains("::/0", "::1")
