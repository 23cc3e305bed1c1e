"""Tells the server, by ALPN, that HTTP comes inside mutual TLS: the stand-in for istio.alpn, which upstream Envoy lacks.

A PERMISSIVE server on a port whose protocol it must detect chooses its chain by these names, and every server its codec. One filter
serves the whole listener (docs/decisions/002): a cluster that speaks one protocol only says its names in its metadata (`xds.cluster`);
for the others the client's protocol decides. Empty names leave the cluster's own list alone.
"""

from envoy.config.core.v3 import substitution_format_string_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2

from lateen.xds.values import ALPN_FIELD, ALPN_HTTP1, ALPN_HTTP2, ALPN_HTTP10, METADATA

__all__ = ["NAME", "build_alpn"]

NAME = "lateen.alpn"
_KEY = "envoy.network.application_protocols"
_CLUSTER = "xds.cluster_metadata.filter_metadata"
_CHOICE = (
    f"%CEL('{METADATA}' in {_CLUSTER} && '{ALPN_FIELD}' in {_CLUSTER}['{METADATA}'] ? {_CLUSTER}['{METADATA}']['{ALPN_FIELD}'] : "
    f"request.protocol == 'HTTP/2' ? '{ALPN_HTTP2}' : request.protocol == 'HTTP/1.0' ? '{ALPN_HTTP10}' : '{ALPN_HTTP1}')%"
)


def build_alpn() -> hcm_pb2.HttpFilter:
    """The filter; the same for every outbound chain."""
    text = substitution_format_string_pb2.SubstitutionFormatString()
    text.text_format_source.inline_string = _CHOICE
    value = value_pb2.FilterStateValue(
        object_key=_KEY,
        factory_key=_KEY,
        format_string=text,
        shared_with_upstream=value_pb2.FilterStateValue.ONCE,
        skip_if_empty=True,
    )
    http_filter = hcm_pb2.HttpFilter(name=NAME)
    http_filter.typed_config.Pack(set_filter_state_pb2.Config(on_request_headers=[value]))
    return http_filter
