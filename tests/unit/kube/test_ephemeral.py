"""Containers are added to a pod that runs through their own door, which lets nothing else through."""

from typing import Any

import pytest

from lateen.api.kinds import info_of
from lateen.kube.ephemeral import with_ephemeral
from lateen.kube.errors import ApiError

POD: dict[str, Any] = {"metadata": {"name": "p", "labels": {"a": "1"}}, "spec": {"containers": [{"name": "web", "image": "x"}]}}
DEBUGGER = {"name": "debugger", "image": "busybox"}


def asked(*added: dict[str, Any], old: dict[str, Any] = POD) -> dict[str, Any]:
    """The pod with these ephemeral containers, and other changes that the door must not let through."""
    new: dict[str, Any] = {"metadata": {"name": "p", "labels": {"a": "2"}}, "spec": {"containers": [], "ephemeralContainers": list(added)}}
    return with_ephemeral(info_of("Pod"), old, new)


def test_the_containers_alone_change() -> None:
    """Labels and the other containers stay as they were."""
    changed = asked(DEBUGGER)
    assert changed["spec"] == {**POD["spec"], "ephemeralContainers": [DEBUGGER]}
    assert changed["metadata"]["labels"] == {"a": "1"}
    assert asked(DEBUGGER, {"name": "more", "image": "y"}, old=changed)["spec"]["ephemeralContainers"][1]["name"] == "more"


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ([{"name": "web", "image": "x"}], 'Duplicate value: "web"'),
        ([DEBUGGER, DEBUGGER], 'Duplicate value: "debugger"'),
        ([{"name": "debugger"}], "spec.ephemeralContainers[0].image: Required value"),
        ([{**DEBUGGER, "targetContainerName": "nobody"}], 'Not found: "nobody"'),
    ],
)
def test_what_is_not_sound_is_refused(added: list[dict[str, Any]], words: str) -> None:
    """Told at the field."""
    with pytest.raises(ApiError) as refused:
        asked(*added)
    assert (refused.value.code, words in str(refused.value)) == (422, True)


def test_what_is_there_stays() -> None:
    """Neither changed nor removed."""
    for added in ((), ({**DEBUGGER, "image": "other"},)):
        with pytest.raises(ApiError, match="may not be changed or removed"):
            asked(*added, old=asked(DEBUGGER))
