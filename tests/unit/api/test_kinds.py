"""The table of kinds: names are unique where they must be, and words find what a person means."""

import pytest
from msgspec import structs

from lateen.api.kinds import KINDS, by_api, by_kind, by_plural, lookup


def test_names_are_unique() -> None:
    """An id stands in keys, a plural of a group in URLs: neither may mean two things. Nor a word, but for kinds that stand apart."""
    assert len({info.id for info in KINDS}) == len(KINDS)
    assert len({(info.group, info.plural) for info in KINDS}) == len(KINDS)
    words = [word for info in KINDS for word in ((info.plural,) if not info.apart else ()) + info.short_names]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("word", ["vs", "virtualservice", "virtualservices", "VirtualService", "VS", "virtualservices.networking.istio.io"])
def test_a_person_may_use_any_of_a_kinds_names(word: str) -> None:
    """Plural, singular, short name, Kind, plural with group, in any case."""
    assert lookup(word) is by_kind("VirtualService")


def test_unknown_words_find_nothing() -> None:
    """None, not an exception."""
    assert lookup("nonsense") is None
    assert by_kind("Nonsense") is None
    assert by_plural("", "virtualservices") is None
    assert by_api("v1", "VirtualService") is None


def test_each_version_finds_its_kind() -> None:
    """`networking.istio.io/v1alpha3` and `/v1` are the same kind."""
    for info in KINDS:
        assert by_plural(info.group, info.plural) is info
        assert all(by_api(info.api_version_of(version), info.kind) is info for version in info.versions)


def test_the_types_agree_with_the_table() -> None:
    """A type's own `apiVersion` and `kind` are its entry's."""
    for info in KINDS:
        if info.type is not None:
            defaults = {field.name: field.default for field in structs.fields(info.type)}
            assert (defaults["api_version"], defaults["kind"]) == (info.api_version, info.kind)
