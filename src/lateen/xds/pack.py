"""The only place that serialises: equal messages become equal bytes, and the version is a hash of them."""

from hashlib import blake2b

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import Message

from lateen.model.frame import Frame, Owner, make_frame

__all__ = ["pack", "resource_of", "serialise", "wrap"]


def serialise(message: Message) -> bytes:
    """The message's bytes, maps sorted."""
    data: bytes = message.SerializeToString(deterministic=True)
    return data


def pack(name: str, type_url: str, message: Message, owners: tuple[Owner, ...] = ()) -> Frame:
    """The frame of one resource."""
    return wrap(name, type_url, serialise(message), owners)


def wrap(name: str, type_url: str, resource: bytes, owners: tuple[Owner, ...] = ()) -> Frame:
    """The frame of a resource that is already serialised."""
    version = blake2b(resource, digest_size=8).hexdigest()
    return make_frame(name=name, type_url=type_url, version=version, resource=resource, owners=owners)


def resource_of(frame: Frame) -> bytes:
    """The serialised message inside the frame's entry."""
    packed: bytes = discovery_pb2.DiscoveryResponse.FromString(frame.sotw_entry).resources[0].value
    return packed
