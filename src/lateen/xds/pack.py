"""The only place that serialises: equal messages become equal bytes, and the version is a hash of them."""

from hashlib import blake2b

from google.protobuf.message import Message

from lateen.model.frame import Frame, Owner, make_frame

__all__ = ["pack", "serialise", "wrap"]


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
