"""Forms: what protobuf's JSON allows beside the plain spelling, what Kubernetes' JSON allows, and that nothing is lost."""

from typing import Any

import pytest
from msgspec import structs

from lateen.api.decode import decode_documents, decode_object, to_json
from lateen.api.kinds import KINDS
from lateen.api.networking import DestinationRule, Gateway, VirtualService
from lateen.api.objects import ConfigMap, Secret
from lateen.api.security import MutualTLS, PeerAuthentication


def istio(kind: str, spec: dict[str, Any], group: str = "networking") -> dict[str, Any]:
    """A raw object of Istio's."""
    return {"apiVersion": f"{group}.istio.io/v1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def decoded(raw: dict[str, Any]) -> Any:
    """The typed object, which must have no problems."""
    obj, problems = decode_object(raw)
    assert problems == ()
    assert obj is not None
    return obj


@pytest.mark.parametrize(
    ("kind", "free", "plain"),
    [
        ("VirtualService", {"export_to": ["."]}, {"exportTo": ["."]}),
        ("VirtualService", {"http": [{"retries": {"per_try_timeout": "1s"}}]}, {"http": [{"retries": {"perTryTimeout": "1s"}}]}),
        ("VirtualService", {"http": [{"match": [{"port": "80"}]}]}, {"http": [{"match": [{"port": 80}]}]}),
        ("VirtualService", {"http": [{"match": [{"port": 80.0}]}]}, {"http": [{"match": [{"port": 80}]}]}),
        ("VirtualService", {"http": [{"timeout": None}]}, {"http": [{}]}),
        (
            "VirtualService",
            {"http": [{"mirrorPercentage": {"value": "12.5"}}]},
            {"http": [{"mirrorPercentage": {"value": 12.5}}]},
        ),
        ("VirtualService", {"http": [{"mirrorPercentage": {"value": 50}}]}, {"http": [{"mirrorPercentage": {"value": 50.0}}]}),
        (
            "DestinationRule",
            {"trafficPolicy": {"loadBalancer": {"simple": 4}}},
            {"trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
        ),
        ("DestinationRule", {"trafficPolicy": {"tls": {"mode": 3}}}, {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}),
        (
            "DestinationRule",
            {"trafficPolicy": {"outlierDetection": {"consecutive_5xx_errors": "7"}}},
            {"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 7}}},
        ),
        ("Gateway", {"servers": [{"tls": {"mode": 5}}]}, {"servers": [{"tls": {"mode": "OPTIONAL_MUTUAL"}}]}),
        (
            "Gateway",
            {"servers": [{"tls": {"mode": 1, "min_protocol_version": 4}}]},
            {"servers": [{"tls": {"mode": "SIMPLE", "minProtocolVersion": "TLSV1_3"}}]},
        ),
        ("Sidecar", {"outboundTrafficPolicy": {"mode": 1}}, {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}),
        ("ServiceEntry", {"location": 1, "resolution": 2}, {"location": "MESH_INTERNAL", "resolution": "DNS"}),
    ],
)
def test_protobufs_liberties_mean_the_same(kind: str, free: dict[str, Any], plain: dict[str, Any]) -> None:
    """snake_case names, numbers as text, enums by number, null for "not given": all as the plain spelling."""
    obj = decoded(istio(kind, free))
    assert obj == decoded(istio(kind, plain))
    assert to_json(obj)["spec"] == plain


@pytest.mark.parametrize(
    "spec", [{"trafficPolicy": {"loadBalancer": {"simple": 99}}}, {"trafficPolicy": {"loadBalancer": {"simple": True}}}]
)
def test_a_number_that_no_enum_has_is_refused(spec: dict[str, Any]) -> None:
    """The known names are listed."""
    obj, (problem,) = decode_object(istio("DestinationRule", spec))
    assert obj is None
    assert "LEAST_REQUEST" in problem.message


def test_every_version_of_a_kind_is_the_same_type() -> None:
    """Istio's versions differ in name only; the object keeps the one it was written in."""
    for info in KINDS:
        for version in info.versions:
            raw = {"apiVersion": info.api_version_of(version), "kind": info.kind, "metadata": {"name": "x"}}
            obj, problems = decode_object(raw)
            if info.type is not None and any(field.required for field in structs.fields(info.type)):
                assert [problem.message for problem in problems] == [f"{info.id} x: Object missing required field `spec`"]
                continue
            assert problems == ()
            if info.type is not None:
                assert type(obj) is info.type
                assert to_json(obj) == raw


def test_wrappers_tell_unset_from_false() -> None:
    """A wrapped bool or number that is written out is kept, also when it is false or 0."""
    spec = {"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 0}, "loadBalancer": {"localityLbSetting": {"enabled": False}}}}
    obj = decoded(istio("DestinationRule", spec))
    assert isinstance(obj, DestinationRule)
    policy = obj.spec.traffic_policy
    assert policy is not None
    assert policy.outlier_detection is not None
    assert policy.outlier_detection.consecutive_5xx_errors == 0
    assert policy.outlier_detection.consecutive_gateway_errors is None
    assert to_json(obj)["spec"] == spec


def test_port_numbers_are_keys_of_port_level_mtls() -> None:
    """In YAML they are written as numbers, in JSON as text."""
    text = (
        b"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: x}\nspec: {portLevelMtls: {8080: {mode: DISABLE}}}\n"
    )
    (one,) = decode_documents(text, "f")
    assert isinstance(one.obj, PeerAuthentication)
    assert one.obj.spec.port_level_mtls == {8080: MutualTLS(mode="DISABLE")}
    assert to_json(one.obj)["spec"] == {"portLevelMtls": {"8080": {"mode": "DISABLE"}}}
    obj, (problem,) = decode_object(istio("PeerAuthentication", {"portLevelMtls": {"http": {}}}, "security"))
    assert obj is None
    assert problem.message == "PeerAuthentication x: spec.portLevelMtls.http: expected a number as the key"


def test_an_empty_match_is_not_no_match() -> None:
    """`x-d: {}` asks for the header's presence."""
    obj = decoded(istio("VirtualService", {"http": [{"match": [{"headers": {"x-d": {}}}]}]}))
    assert isinstance(obj, VirtualService)
    assert set(obj.spec.http[0].match[0].headers) == {"x-d"}


def test_kubernetes_own_kinds_know_no_snake_case() -> None:
    """Their JSON is Go's, not protobuf's."""
    raw = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"cluster_ip": "None"}}
    obj, (problem,) = decode_object(raw)
    assert obj is None
    assert 'did you mean "clusterIP"?' in problem.message


def test_null_is_not_given() -> None:
    """`creationTimestamp: null` and `status: null`, as kubectl writes them; an empty map value is empty text."""
    raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "creationTimestamp": None}, "data": {"a": None}}
    obj = decoded(raw)
    assert obj == ConfigMap(metadata=obj.metadata, data={"a": ""})
    assert obj.metadata.creation_timestamp == ""


def test_fields_of_the_apis_own_metadata_are_no_problem() -> None:
    """`managedFields` is not typed, but legal."""
    decoded({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x", "managedFields": [{"manager": "kubectl"}]}})


def test_secrets_come_back_as_they_were() -> None:
    """`data` is base64 on the wire and bytes inside; `stringData` is text on the wire."""
    raw = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "AAH/"}, "stringData": {"b": "text"}}
    obj = decoded(raw)
    assert isinstance(obj, Secret)
    assert obj.data["a"].reveal() == b"\x00\x01\xff"
    assert to_json(obj) == raw
    assert "text" not in repr(obj)


def test_a_real_deployment_comes_back_as_it_was() -> None:
    """Nothing of a full pod template is lost."""
    container = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "IfNotPresent",
        "args": ["-x"],
        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"containerPort": 80, "hostIP": "127.0.0.1"}],
        "resources": {"limits": {"cpu": "100m", "memory": 1000}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
        "securityContext": {"runAsUser": 0, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    raw = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": spec}
    assert to_json(decoded(raw)) == raw


def test_frozen_values_compare_and_cannot_change() -> None:
    """The graph relies on both."""
    raw = istio("Gateway", {"servers": [{"port": {"number": 80}}]})
    obj = decoded(raw)
    assert isinstance(obj, Gateway)
    assert obj == decoded(raw)
    with pytest.raises(AttributeError):
        obj.kind = "Gateway"  # type: ignore[misc]
