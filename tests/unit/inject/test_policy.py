"""Which pods get a sidecar."""

import pytest

from lateen.inject.policy import templates, verdict, wants_sidecar


def pod(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: object) -> dict[str, object]:
    """A pod with these labels, annotations and fields."""
    return {"metadata": {"labels": labels or {}, "annotations": annotations or {}}, "spec": spec}


ENABLED = {"istio-injection": "enabled"}
DISABLED = {"istio-injection": "disabled"}
TRUE, FALSE = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}


@pytest.mark.parametrize(
    ("labels", "annotations", "namespace", "expected"),
    [
        ({}, {}, {}, False),
        ({}, {}, ENABLED, True),
        ({}, {}, DISABLED, False),
        (TRUE, {}, {}, True),
        (TRUE, {}, DISABLED, False),
        (FALSE, {}, ENABLED, False),
        ({}, FALSE, ENABLED, False),
        (TRUE, FALSE, ENABLED, True),
        (FALSE, TRUE, ENABLED, False),
        ({}, {}, {"istio.io/rev": "default"}, True),
        ({}, {}, {"istio.io/rev": "canary"}, False),
        (TRUE, {}, {"istio.io/rev": "canary"}, False),
        ({}, {}, {**ENABLED, "istio.io/rev": "canary"}, True),
        ({}, {}, {**DISABLED, "istio.io/rev": "default"}, False),
        ({"istio.io/rev": "default"}, {}, {}, True),
        ({"istio.io/rev": "canary"}, {}, {}, False),
        ({"istio.io/rev": "default", **FALSE}, {}, {}, False),
    ],
)
def test_labels_decide(labels: dict[str, str], annotations: dict[str, str], namespace: dict[str, str], *, expected: bool) -> None:
    """The pod's word against injection always wins; its label beats its annotation; the namespace's own label beats a revision."""
    assert wants_sidecar(pod(labels, annotations), "shop", namespace) is expected


def test_system_namespaces_and_host_network_are_left_alone() -> None:
    """Neither Kubernetes' own namespaces nor pods in the host's network are ever injected, and the reason is told."""
    assert verdict(pod(TRUE), "kube-system", ENABLED) == (False, "namespace kube-system is never injected")
    assert verdict(pod(TRUE, hostNetwork=True), "shop", ENABLED) == (False, "the pod uses the host's network")


def test_pod_is_injected_once() -> None:
    """A pod that has its sidecar gets no second one."""
    assert not wants_sidecar(pod(annotations={"sidecar.istio.io/status": "{}"}), "shop", ENABLED)


def test_templates_are_a_list() -> None:
    """Templates are named in an annotation; without it there is one."""
    assert templates(pod()) == ("sidecar",)
    assert templates(pod(annotations={"inject.istio.io/templates": "gateway, custom"})) == ("gateway", "custom")
