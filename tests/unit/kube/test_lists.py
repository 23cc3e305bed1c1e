"""Lists: selectors, pages, snapshots."""

from typing import Any

import pytest

from lateen.kube.errors import ApiError
from lateen.kube.listing import ListOptions, list_page
from lateen.kube.selectors import parse_fields, parse_labels, select


def names(page: Any) -> list[str]:
    return [stored.ref.name for stored in page.items]


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("", "abcd"),
        ("tier=front", "a"),
        ("tier==front", "a"),
        ("tier!=front", "bcd"),
        ("tier in (front, back)", "ab"),
        ("tier notin (front)", "bcd"),
        ("tier", "abc"),
        ("!tier", "d"),
        ("tier,app=x", "b"),
        ("tier=", "c"),
    ],
)
def test_label_selectors_choose(world: Any, make_config_map: Any, text: str, matching: str) -> None:
    """All operators of Kubernetes' language."""
    labels = {"a": {"tier": "front"}, "b": {"tier": "back", "app": "x"}, "c": {"tier": ""}, "d": {}}
    for name, given in labels.items():
        world.create("ConfigMap", make_config_map(name, labels=given))
    page = list_page(world.store, "configmaps", ListOptions(selection=select("configmaps", text, "")))
    assert "".join(names(page)) == matching


@pytest.mark.parametrize("text", ["a=b=c", "a in x", "a,", "=b", "a b"])
def test_a_broken_label_selector_is_a_bad_request(text: str) -> None:
    """400, never a list of everything."""
    with pytest.raises(ApiError) as refused:
        list(parse_labels(text))
    assert refused.value.code == 400


def test_field_selectors_choose(world: Any) -> None:
    """Name, namespace, and the fields of the kind; terms may repeat and negate."""
    container = {"name": "c", "image": "i"}
    for name, node in (("p", "n1"), ("q", "n2"), ("r", "")):
        world.create("Pod", {"metadata": {"name": name}, "spec": {"containers": [container]} | ({"nodeName": node} if node else {})})

    def chosen(text: str) -> list[str]:
        return names(list_page(world.store, "pods", ListOptions(selection=select("pods", "", text))))

    assert chosen("spec.nodeName=n1") == ["p"]
    assert chosen("spec.nodeName!=n1,spec.nodeName!=") == ["q"]
    assert chosen("metadata.name=p,metadata.name=p") == ["p"]
    assert chosen("metadata.namespace!=default") == []
    assert chosen("status.phase=Pending") == ["p", "q", "r"]
    with pytest.raises(ApiError, match=r"field label not supported: spec\.foo"):
        list(parse_fields("pods", "spec.foo=1"))
    with pytest.raises(ApiError, match="is not a known field selector"):
        list(parse_fields("virtualservices.networking.istio.io", "data.a=1"))


def test_pages_are_one_snapshot(world: Any, make_config_map: Any) -> None:
    """What changes between two pages does not show in the second: it is of the first one's revision."""
    for n in range(5):
        world.create("ConfigMap", make_config_map(f"c{n}"))
    first = list_page(world.store, "configmaps", ListOptions(limit=2))
    assert (names(first), first.remaining) == (["c0", "c1"], 3)
    world.delete("ConfigMap", "c3")
    world.create("ConfigMap", make_config_map("c35"))
    world.update("ConfigMap", "c4", lambda obj: obj["data"].update(a="2"))
    second = list_page(world.store, "configmaps", ListOptions(limit=9, token=first.token))
    assert names(second) == ["c2", "c3", "c4"]
    assert world.body(second.items[2])["data"] == {"a": "1"}
    assert second.revision == first.revision
    assert second.token == ""


def test_a_past_revision_can_be_listed_exactly(world: Any, make_config_map: Any) -> None:
    """resourceVersionMatch=Exact undoes what came after."""
    world.create("ConfigMap", make_config_map("a"))
    then = str(world.store.revision)
    world.delete("ConfigMap", "a")
    world.create("ConfigMap", make_config_map("b"))
    assert names(list_page(world.store, "configmaps", ListOptions(revision=then, match="Exact"))) == ["a"]
    assert names(list_page(world.store, "configmaps", ListOptions(revision=then))) == ["b"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (ListOptions(token="zzz"), 400),
        (ListOptions(token="!"), 400),
        (ListOptions(revision="abc"), 400),
        (ListOptions(revision="999999"), 504),
        (ListOptions(match="Exact"), 422),
        (ListOptions(match="Exact", revision="0"), 422),
        (ListOptions(match="Some", revision="1"), 422),
    ],
)
def test_nonsense_in_a_list_is_refused(world: Any, options: ListOptions, code: int) -> None:
    """With Kubernetes' codes."""
    with pytest.raises(ApiError) as refused:
        list_page(world.store, "configmaps", options)
    assert refused.value.code == code


def test_an_expired_token_comes_with_another(world: Any, make_config_map: Any) -> None:
    """410 whose metadata carries a token that goes on without consistency."""
    for n in range(3):
        world.create("ConfigMap", make_config_map(f"c{n}"))
    first = list_page(world.store, "configmaps", ListOptions(limit=1))
    for n in range(5000):
        world.update("ConfigMap", "c0", lambda obj, n=n: obj["data"].update(a=str(n)))
    with pytest.raises(ApiError) as gone:
        list_page(world.store, "configmaps", ListOptions(limit=1, token=first.token))
    assert gone.value.code == 410
    metadata: Any = gone.value.status["metadata"]
    assert names(list_page(world.store, "configmaps", ListOptions(token=metadata["continue"]))) == ["c1", "c2"]
