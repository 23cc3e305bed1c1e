"""Merging as protobuf does it, but for what nobody means: a span of time is replaced, not added up field by field."""

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

__all__ = ["merge", "merge_any"]

_WHOLE = (Duration.DESCRIPTOR.full_name, Any.DESCRIPTOR.full_name)


def merge(into: Message, value: Message, *, replace_lists: bool = False) -> None:
    """Fields that `value` has are set, messages merged, lists appended to (or replaced), entries of maps replaced."""
    for field, found in value.ListFields():
        if field.is_repeated:
            if replace_lists:
                into.ClearField(field.name)
            _extend(getattr(into, field.name), found)
        elif field.message_type is None:
            setattr(into, field.name, found)
        elif field.message_type.full_name in _WHOLE:
            getattr(into, field.name).CopyFrom(found)
        else:
            inner = getattr(into, field.name)
            inner.SetInParent()
            merge(inner, found, replace_lists=replace_lists)


def _extend(into: object, found: object) -> None:
    into.MergeFrom(found)  # type: ignore[attr-defined]  # lists and maps alike


def merge_any(into: Any, value: Any, *, replace_lists: bool = False) -> bool:
    """Merge what is packed, whatever type `value` says it has: the type stays that of `into`. Whether both could be read."""
    name = into.type_url.rpartition("/")[2]
    try:
        kind = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
        packed, changes = kind.FromString(into.value), kind.FromString(value.value)
    except (KeyError, DecodeError):
        return False
    merge(packed, changes, replace_lists=replace_lists)
    into.value = packed.SerializeToString(deterministic=True)
    return True
