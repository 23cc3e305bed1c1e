"""Kubernetes' protobuf bodies, as client-go writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.kube.errors import ApiError
from lateen.serve.http_kube.protobuf import decode_protobuf
from lateen.util.wire import length_delimited, text, varint


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value & ((1 << 64) - 1))


def envelope(api_version: str, kind: str, body: bytes) -> bytes:
    return b"k8s\0" + length_delimited(1, text(1, api_version) + text(2, kind)) + length_delimited(2, body)


def metadata(name: str) -> bytes:
    zero_time = length_delimited(8, b"")
    empty = b"".join(length_delimited(field, b"") for field in (2, 3, 4, 5, 6))
    return length_delimited(1, text(1, name) + empty + number(7, 0) + zero_time)


def test_what_go_leaves_out_of_json_is_left_out() -> None:
    """Empty text, zero numbers and zero times of fields that are no pointers are no values."""
    assert decode_protobuf(envelope("v1", "ConfigMap", metadata("a"))) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
    }


def test_pointers_keep_their_zero() -> None:
    """`replicas: 0` of a Deployment is a wish, not an absence; `paused: false` is."""
    spec = number(1, 0) + number(5, 0) + number(7, 0)
    decoded = decode_protobuf(envelope("apps/v1", "Deployment", metadata("a") + length_delimited(2, spec)))
    assert decoded["spec"] == {"replicas": 0}


def test_special_types_take_their_form_of_json() -> None:
    """Maps, bytes, numbers or names of ports, times, quantities, and fields embedded in Go."""
    entry = length_delimited(2, text(1, "k") + length_delimited(2, b"\xff\x00"))
    assert decode_protobuf(envelope("v1", "Secret", metadata("a") + entry))["data"] == {"k": "/wA="}
    by_name = number(1, 1) + number(2, 0) + text(3, "http")
    by_number = number(1, 0) + number(2, 8080) + length_delimited(3, b"")
    ports = b"".join(length_delimited(1, number(3, 80) + length_delimited(4, target)) for target in (by_name, by_number))
    service: Any = decode_protobuf(envelope("v1", "Service", metadata("a") + length_delimited(2, ports)))
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http", 8080]
    limits = length_delimited(1, text(1, "cpu") + length_delimited(2, text(1, "100m")))
    probe = length_delimited(10, length_delimited(1, length_delimited(2, text(1, "/ready"))) + number(2, 0))
    container = text(1, "c") + length_delimited(8, limits) + probe
    volume = text(1, "v") + length_delimited(2, length_delimited(6, text(1, "s")))
    pod: Any = decode_protobuf(
        envelope("v1", "Pod", metadata("a") + length_delimited(2, length_delimited(1, volume) + length_delimited(2, container)))
    )
    assert pod["spec"]["volumes"] == [{"name": "v", "secret": {"secretName": "s"}}]
    found = pod["spec"]["containers"][0]
    assert (found["resources"], found["livenessProbe"]) == ({"limits": {"cpu": "100m"}}, {"httpGet": {"path": "/ready"}})
    lease: Any = decode_protobuf(
        envelope("coordination.k8s.io/v1", "Lease", length_delimited(2, length_delimited(4, number(1, 1) + number(2, 2000))))
    )
    assert lease["spec"]["renewTime"] == "1970-01-01T00:00:01.000002Z"


def test_negative_numbers_and_unknown_fields() -> None:
    """Numbers are signed; a field of a later Kubernetes is passed over."""
    toleration = length_delimited(22, number(5, -1) + text(99, "new"))
    pod: Any = decode_protobuf(envelope("v1", "Pod", length_delimited(2, toleration)))
    assert pod["spec"]["tolerations"] == [{"tolerationSeconds": -1}]


@pytest.mark.parametrize(
    "body", [b"", b"k8s\0", b"k8s\0\x0a\xff", envelope("v1", "Unknown", b""), envelope("v1", "Pod", b"\x08\x01"), b'{"kind":"Pod"}']
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    """A cut off, unknown or wrongly typed body is a bad request with a sentence."""
    with pytest.raises(ApiError) as refused:
        decode_protobuf(body)
    assert refused.value.code == 400


@given(st.sampled_from(["Pod", "Service", "Namespace", "Event"]), st.binary(max_size=200))
def test_any_bytes_give_an_object_or_a_refusal(kind: str, body: bytes) -> None:
    """Nothing but an object or a 400 comes out."""
    try:
        decoded = decode_protobuf(envelope("v1", kind, body))
    except ApiError as refused:
        code = refused.code
    else:
        code = 400 if decoded["kind"] == kind else 0
    assert code == 400
