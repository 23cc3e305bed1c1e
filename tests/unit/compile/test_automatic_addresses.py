"""Addresses given out to names that have none."""

from hypothesis import given
from hypothesis import strategies as st

from lateen.compile.addresses import automatic_addresses
from lateen.model.service import ServiceKey

HOSTS = st.lists(st.integers(0, 5_000).map(lambda number: ServiceKey("default", f"h{number}.example.com")), unique=True, max_size=400)


@given(HOSTS)
def test_every_name_has_an_address_of_its_own_in_the_reserved_range(keys: list[ServiceKey]) -> None:
    """None ends in 0 or 255."""
    found = automatic_addresses(keys)
    assert set(found) == set(keys)
    assert len(set(found.values())) == len(keys)
    octets = [tuple(map(int, address.split("."))) for address in found.values()]
    assert all((a, b) == (240, 240) and 0 <= c <= 255 and 1 <= d <= 254 for a, b, c, d in octets)


def test_names_that_fall_together_both_get_one() -> None:
    """A key that comes twice keeps one address, and others are not moved by its second slot."""
    twice = ServiceKey("default", "istio.io")
    other = ServiceKey("default", "example.com")
    alone = automatic_addresses([other])[other]
    found = automatic_addresses([twice, twice, other])
    assert found[twice] == "240.240.91.120"
    assert found[other] == alone
