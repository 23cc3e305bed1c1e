"""Identities as they stand in certificates."""

import pytest

from lateen.ca.spiffe import Identity, SpiffeError


def test_identity_is_istios_uri() -> None:
    """spiffe://trust-domain/ns/namespace/sa/service-account."""
    assert Identity("cluster.local", "default", "sleep").uri == "spiffe://cluster.local/ns/default/sa/sleep"


def test_at_sign_of_a_trust_domain_becomes_a_dot() -> None:
    """Trust domains made from cloud service accounts have an @, which a URI's host may not."""
    assert Identity("mesh@corp.example", "a", "b").uri == "spiffe://mesh.corp.example/ns/a/sa/b"


@pytest.mark.parametrize("parts", [("", "a", "b"), ("td/x", "a", "b"), ("td", "a/sa/root", "b"), ("td", "a", ""), ("td", "..", "b")])
def test_parts_that_could_forge_another_identity_are_refused(parts: tuple[str, str, str]) -> None:
    """A slash in a namespace would make another identity."""
    with pytest.raises(SpiffeError):
        Identity(*parts)
