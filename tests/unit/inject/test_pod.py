"""What a pod looks like with its proxy."""

import json
from typing import Any

import pytest

from lateen.inject.pod import InjectionError, inject


def pod(**metadata: Any) -> dict[str, Any]:
    """A pod of two containers."""
    return {"metadata": metadata, "spec": {"containers": [{"name": "web", "image": "web:1"}, {"name": "log", "image": "log:1"}]}}


def made(given: dict[str, Any]) -> dict[str, Any]:
    """The injected pod, as JSON would carry it."""
    result: dict[str, Any] = json.loads(json.dumps(inject(given)))
    return result


def test_proxy_is_the_first_container() -> None:
    """The program waits for its proxy, so the proxy stands first; the given pod is not changed."""
    given = pod(name="shop")
    before = json.dumps(given)
    result = made(given)
    assert [each["name"] for each in result["spec"]["containers"]] == ["istio-proxy", "web", "log"]
    proxy = result["spec"]["containers"][0]
    assert proxy["args"][:2] == ["proxy", "sidecar"]
    assert proxy["securityContext"]["runAsUser"] == 1337
    assert json.dumps(given) == before


def test_labels_tell_the_mesh_what_it_is() -> None:
    """tlsMode, canonical name and revision are those of Istio: from the app's labels, else from its owner."""
    labels = made(pod(name="shop-1", labels={"app": "shop", "version": "v2"}))["metadata"]["labels"]
    assert labels["security.istio.io/tlsMode"] == "istio"
    assert labels["service.istio.io/canonical-name"] == "shop"
    assert labels["service.istio.io/canonical-revision"] == "v2"
    owner = {"kind": "ReplicaSet", "name": "cart-abc", "controller": True}
    labels = made(pod(generateName="cart-abc-", ownerReferences=[owner], labels={"pod-template-hash": "abc"}))["metadata"]["labels"]
    assert labels["service.istio.io/canonical-name"] == "cart"
    assert labels["service.istio.io/canonical-revision"] == "latest"


def test_labels_of_the_user_stay() -> None:
    """What a user says of tlsMode or the canonical name is kept."""
    own = {"security.istio.io/tlsMode": "disabled", "service.istio.io/canonical-name": "other"}
    labels = made(pod(name="shop", labels=own))["metadata"]["labels"]
    assert {name: labels[name] for name in own} == own


def test_annotations_say_what_was_added() -> None:
    """The status lists the container, and kubectl's default container is the program."""
    notes = made(pod(name="shop"))["metadata"]["annotations"]
    assert json.loads(notes["sidecar.istio.io/status"])["containers"] == ["istio-proxy"]
    assert notes["kubectl.kubernetes.io/default-container"] == "web"


def test_gateway_template_completes_the_proxy() -> None:
    """`image: auto` becomes the proxy's image, the user's ports, variables and rights are kept, and it runs as a gateway."""
    own = {
        "name": "istio-proxy",
        "image": "auto",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "ISTIO_META_X", "value": "y"}, {"name": "POD_NAME", "value": "mine"}],
        "securityContext": {"runAsUser": 1338},
    }
    given = {"metadata": {"name": "edge", "annotations": {"inject.istio.io/templates": "gateway"}}, "spec": {"containers": [own]}}
    result = made(given)
    assert "security.istio.io/tlsMode" not in result["metadata"]["labels"]
    (proxy,) = result["spec"]["containers"]
    assert proxy["image"] != "auto"
    assert proxy["args"][:2] == ["proxy", "router"]
    assert [port["containerPort"] for port in proxy["ports"]] == [8080, 15090]
    assert [each["value"] for each in proxy["env"] if each["name"] == "POD_NAME"] == ["mine"]
    assert proxy["securityContext"] == {"runAsUser": 1338, "runAsGroup": 1337, "runAsNonRoot": True}


def test_unknown_template_is_refused() -> None:
    """A template that does not exist is named, with those that do."""
    with pytest.raises(InjectionError, match='no injection template "custom"; the templates are gateway and sidecar'):
        inject(pod(name="shop", annotations={"inject.istio.io/templates": "sidecar,custom"}))


def test_volumes_of_the_user_reach_the_proxy() -> None:
    """The annotations' volumes become the pod's, their mounts the proxy's, and the status names them."""
    notes = {
        "sidecar.istio.io/userVolume": '{"certs":{"secret":{"secretName":"shop-certs"}}}',
        "sidecar.istio.io/userVolumeMount": '{"certs":{"mountPath":"/etc/certs","readOnly":true}}',
    }
    result = made(pod(name="shop", annotations=notes))
    assert result["spec"]["volumes"] == [{"name": "certs", "secret": {"secretName": "shop-certs"}}]
    assert result["spec"]["containers"][0]["volumeMounts"] == [{"name": "certs", "mountPath": "/etc/certs", "readOnly": True}]
    assert "volumeMounts" not in result["spec"]["containers"][1]
    assert json.loads(result["metadata"]["annotations"]["sidecar.istio.io/status"])["volumes"] == ["certs"]


@pytest.mark.parametrize("text", ["{", "[]", '{"certs": "shop"}'])
def test_volumes_that_are_none_are_refused(text: str) -> None:
    """The sentence names the annotation and shows what it should look like."""
    with pytest.raises(InjectionError, match="not a JSON object of volumes by name") as refused:
        inject(pod(name="shop", annotations={"sidecar.istio.io/userVolume": text}))
    assert refused.value.field == "metadata.annotations[sidecar.istio.io/userVolume]"
