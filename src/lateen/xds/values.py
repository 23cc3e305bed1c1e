"""Small values of Envoy's messages that several printers share."""

from google.protobuf import duration_pb2

__all__ = ["ALPN_FIELD", "ALPN_HTTP1", "ALPN_HTTP2", "ALPN_HTTP10", "METADATA", "set_duration"]

_SECOND = 1_000_000_000

METADATA = "lateen"  # our own metadata of clusters
ALPN_FIELD = "alpn"  # in it: the names to send for every request, comma separated
ALPN_HTTP10, ALPN_HTTP1, ALPN_HTTP2 = "istio-http/1.0,istio,http/1.0", "istio-http/1.1,istio,http/1.1", "istio-h2,istio,h2"


def set_duration(message: duration_pb2.Duration, nanoseconds: int) -> None:
    """Write the span into `message`, which then counts as set even when it is zero."""
    message.SetInParent()
    message.seconds, message.nanos = divmod(nanoseconds, _SECOND)
