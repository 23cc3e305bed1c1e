"""From the node message of an xDS client to what the mesh knows of a proxy.

Node ids are Istio's: `<type>~<ip>~<pod>.<namespace>~<namespace>.svc.<domain>`. Must not trust what it reads: the identity check of
`grpc_ads` compares namespace and service account with the client's certificate.
"""

import json

from envoy.config.core.v3 import base_pb2
from google.protobuf import struct_pb2

from lateen.model.endpoint import Locality
from lateen.model.scope import Proxy

__all__ = ["NodeError", "proxy_from_node"]

_KINDS = ("sidecar", "router")
_LARGEST = 1 << 19
_PROXYLESS = "grpc"  # what a gRPC program without a proxy says in GENERATOR


class NodeError(ValueError):
    """The client's node message does not say who it is."""


def proxy_from_node(node: base_pb2.Node) -> Proxy:
    """The proxy that `node` describes; NodeError with a sentence when its id is not in Istio's form."""
    if node.ByteSize() > _LARGEST:
        raise NodeError(f"the node message has {node.ByteSize()} bytes, more than {_LARGEST}: shorten the pod's labels and annotations")
    parts = node.id.split("~")
    if len(parts) != 4 or parts[0] not in _KINDS or "." not in parts[2]:
        raise NodeError(
            f'node id "{node.id[:200]}": expected "sidecar~IP~POD.NAMESPACE~DOMAIN" or "router~...", as Istio\'s agents send it'
        )
    fields = node.metadata.fields
    pod, _, namespace = parts[2].rpartition(".")
    addresses = tuple(a for a in _text(fields, "INSTANCE_IPS").split(",") if a) or (parts[1],)
    return Proxy(
        id=node.id,
        kind=_PROXYLESS if parts[0] == "sidecar" and _text(fields, "GENERATOR") == _PROXYLESS else parts[0],
        namespace=_text(fields, "NAMESPACE") or namespace,
        name=_text(fields, "NAME") or pod,
        addresses=addresses,
        labels=_labels(fields),
        service_account=_text(fields, "SERVICE_ACCOUNT"),
        workload=_text(fields, "WORKLOAD_NAME"),
        cluster=_text(fields, "CLUSTER_ID"),
        network=_text(fields, "NETWORK"),
        locality=Locality(node.locality.region, node.locality.zone, node.locality.sub_zone),
        interception_mode=_text(fields, "INTERCEPTION_MODE") or "REDIRECT",
        dns_capture=_text(fields, "DNS_CAPTURE").lower() == "true",
        metadata=tuple(sorted((name, value.string_value) for name, value in fields.items() if value.string_value)),
    )


def _text(fields: "struct_pb2._FieldsMap", name: str) -> str:  # type: ignore[name-defined]
    return str(fields[name].string_value) if name in fields else ""


def _labels(fields: "struct_pb2._FieldsMap") -> tuple[tuple[str, str], ...]:  # type: ignore[name-defined]
    if "LABELS" not in fields:
        return ()
    value = fields["LABELS"]
    if value.HasField("string_value"):
        return tuple(sorted((str(k), str(v)) for k, v in json.loads(value.string_value).items()))
    return tuple(sorted((key, item.string_value) for key, item in value.struct_value.fields.items()))
