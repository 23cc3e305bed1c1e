"""The manifests that the package ships: decoded without a problem, and the same objects as Istio's samples."""

from pathlib import Path
from typing import Any

import pytest

from lateen.api.decode import decode_documents
from lateen.samples.demo import DEMO, MANIFESTS
from lateen.samples.images import resolve

ALL = sorted(MANIFESTS.glob("*.yaml"))


def _objects(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one.raw["kind"], one.raw["metadata"]["name"]): one.raw for one in decode_documents(path.read_bytes(), path.name)}


def _without_pull_policy_and_volumes(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Istio's objects without what only their containers need: our programs keep no logs in files."""
    for (kind, _), raw in objects.items():
        if kind == "Deployment":
            spec = raw["spec"]["template"]["spec"]
            spec.pop("volumes", None)
            for container in spec["containers"]:
                for key in ("imagePullPolicy", "volumeMounts", "env"):
                    container.pop(key, None)
    return objects


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_every_manifest_is_decoded_without_a_problem(path: Path) -> None:
    """No unknown kind, field or value."""
    decoded = decode_documents(path.read_bytes(), path.name)
    assert decoded
    assert [one.problems for one in decoded if one.problems or one.obj is None] == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("bookinfo.yaml", "platform/kube/bookinfo.yaml"), ("bookinfo-gateway.yaml", "networking/bookinfo-gateway.yaml")],
)
def test_bookinfo_is_istios_object_by_object(shared_cases: Path, ours: str, theirs: str) -> None:
    """Names, labels, accounts, ports, images, routes: Istio's policies and tasks fit."""
    wanted = _objects(shared_cases / "samples" / "bookinfo" / theirs)
    assert _objects(MANIFESTS / ours) == _without_pull_policy_and_volumes(wanted)


def test_the_demo_needs_only_images_that_are_known() -> None:
    """Every container of the demo has a command, or is the proxy."""
    images = [
        container["image"]
        for path in DEMO
        for raw in _objects(path).values()
        if raw["kind"] == "Deployment"
        for container in raw["spec"]["template"]["spec"]["containers"]
    ]
    assert images.count("auto") == 1
    assert [image for image in images if image != "auto" and resolve(image) is None] == []


def test_the_demo_labels_its_namespace_before_its_pods() -> None:
    """Pods get their sidecars when they are made, so the label comes first; the egress gateway is left out."""
    objects = [key for path in DEMO for key in _objects(path)]
    assert objects.index(("Namespace", "default")) < objects.index(("Deployment", "productpage-v1"))
    assert objects[0] == ("Namespace", "istio-system")
    assert _objects(MANIFESTS / "demo-namespace.yaml")["Namespace", "default"]["metadata"]["labels"] == {"istio-injection": "enabled"}
    assert ("Deployment", "istio-egressgateway") not in objects


@pytest.mark.parametrize(
    ("file", "which", "ports"),
    [
        (
            "istio-system.yaml", "ingressgateway",
            {"status-port": (15021, 15021), "http2": (80, 8080), "https": (443, 8443), "tcp": (31400, 31400)},
        ),
        ("istio-egressgateway.yaml", "egressgateway", {"http2": (80, 8080), "https": (443, 8443)}),
    ],
)  # fmt: skip
def test_gateways_have_istios_labels_ports_and_template(file: str, which: str, ports: dict[str, tuple[int, int]]) -> None:
    """The Service selects the pods, whose template asks for a gateway's proxy."""
    name = f"istio-{which}"
    objects = _objects(MANIFESTS / file)
    service, deployment = objects["Service", name]["spec"], objects["Deployment", name]["spec"]
    template = deployment["template"]
    assert {each["name"]: (each["port"], each["targetPort"]) for each in service["ports"]} == ports
    assert service["selector"] == {"app": name, "istio": which} == deployment["selector"]["matchLabels"]
    assert template["metadata"]["labels"] == {**service["selector"], "sidecar.istio.io/inject": "true"}
    assert template["metadata"]["annotations"] == {"inject.istio.io/templates": "gateway"}
    assert template["spec"] == {"serviceAccountName": name, "containers": [{"name": "istio-proxy", "image": "auto"}]}
    assert ("ServiceAccount", name) in objects
