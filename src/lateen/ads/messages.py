"""What goes in and out of a stream, free of gRPC: requests as events, pushes as commands.

Delta's and state-of-the-world's wire messages both map to these; the difference is `Request.replace`.
"""

from collections.abc import Mapping

from msgspec import Struct

from lateen.model.frame import Frame, Owner

__all__ = ["CDS", "ECDS", "EDS", "LDS", "NDS", "ORDER", "RDS", "SDS", "Nack", "Push", "Request"]

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SDS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
ECDS = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
NDS = "type.googleapis.com/istio.networking.nds.v1.NameTable"

ORDER = (
    CDS,  # a cluster must be there before its endpoints and before a route names it
    EDS,  # Envoy keeps a cluster warming until its endpoints came
    SDS,  # a listener stays warming without its certificate
    ECDS,  # likewise for a filter's configuration
    LDS,  # a listener makes Envoy ask for its routes
    RDS,  # last to switch traffic over
    NDS,  # names lead to what is there by now
)


class Request(Struct, frozen=True, kw_only=True):
    """A client's request on one type. `subscribe` is the whole set of names when `replace` (state of the world)."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial: Mapping[str, str] = {}  # name -> version that a reconnecting delta client holds
    nonce: str = ""
    error: str | None = None  # Envoy's words: this answers a push with NACK
    replace: bool = False


class Push(Struct, frozen=True):
    """Send these frames and removals; the client answers `nonce`. `full`: all of the type the client asked for."""

    type_url: str
    frames: tuple[Frame, ...]
    removed: tuple[str, ...]
    nonce: str
    full: bool = False


class Nack(Struct, frozen=True):
    """A refusal: Envoy's words, the frames of the refused push that they are about, and the objects at fault.

    Not `certain`: every one of these objects was taken by some client as it is, so which one is at fault is not known.
    """

    type_url: str
    message: str
    frames: tuple[Frame, ...]
    owners: frozenset[Owner]
    certain: bool
