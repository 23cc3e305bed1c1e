"""Small values of Envoy's messages."""

from google.protobuf import duration_pb2

__all__ = ["set_duration"]

_SECOND = 1_000_000_000


def set_duration(message: duration_pb2.Duration, nanoseconds: int) -> None:
    """Write the span into `message`, which then counts as set even when it is zero."""
    message.SetInParent()
    message.seconds, message.nanos = divmod(nanoseconds, _SECOND)
