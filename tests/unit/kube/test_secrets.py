"""Secrets and ConfigMaps at the API."""

import base64
from typing import Any

import pytest

from lateen.kube.errors import ApiError


def refusal(world: Any, kind: str, obj: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as refused:
        world.create(kind, {"metadata": {"name": "s"}} | obj)
    return refused.value


def fields(error: ApiError) -> list[str]:
    details: Any = error.status["details"]
    return [cause["field"] for cause in details["causes"]]


def test_known_types_need_their_keys(world: Any) -> None:
    """A TLS Secret without its key is refused by field; one with both keys is taken, whatever the bytes say, as Kubernetes does."""
    assert fields(refusal(world, "Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": "YQ=="}})) == ["data[tls.key]"]
    assert fields(refusal(world, "Secret", {"type": "kubernetes.io/basic-auth"})) == ["data[username]", "data[password]"]
    broken = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{"}}
    assert fields(refusal(world, "Secret", broken)) == ["data[.dockerconfigjson]"]
    world.create("Secret", {"metadata": {"name": "t"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": "a", "tls.key": "b"}})


def test_data_must_be_base64_and_fit(world: Any) -> None:
    """What is no base64 is a bad request; more than a mebibyte is refused for both kinds."""
    assert refusal(world, "Secret", {"data": {"a": "%%%"}}).code == 400
    large = base64.b64encode(b"x" * ((1 << 20) + 1)).decode()
    assert refusal(world, "Secret", {"data": {"a": large}}).code == 422
    assert refusal(world, "ConfigMap", {"data": {"a": "x" * ((1 << 20) + 1)}}).code == 422


def test_what_is_immutable_stays(world: Any) -> None:
    """The type of a Secret, and the data of what is marked immutable."""
    world.create("Secret", {"metadata": {"name": "a"}, "stringData": {"k": "v"}})
    with pytest.raises(ApiError):
        world.update("Secret", "a", lambda obj: obj.update(type="other"))
    world.create("ConfigMap", {"metadata": {"name": "a"}, "data": {"k": "v"}, "immutable": True})
    with pytest.raises(ApiError):
        world.update("ConfigMap", "a", lambda obj: obj["data"].update(k="w"))
    world.update("ConfigMap", "a", lambda obj: obj["metadata"].update(labels={"x": "y"}))
