"""The protocol of a port: `appProtocol` counts before the port's name, then some well-known numbers, else it is detected."""

from lateen.model.service import Protocol

__all__ = ["protocol_of"]

_NAMES = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "https": Protocol.HTTPS,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.GRPC_WEB,
    "tcp": Protocol.TCP,
    "tls": Protocol.TLS,
    "udp": Protocol.UDP,
    "mongo": Protocol.MONGO,
    "redis": Protocol.REDIS,
    "mysql": Protocol.MYSQL,
    "hbone": Protocol.HBONE,
}
_APPLICATION = {"kubernetes.io/h2c": Protocol.HTTP2, "kubernetes.io/ws": Protocol.HTTP, "kubernetes.io/wss": Protocol.HTTPS}
_SERVER_SPEAKS_FIRST = (25, 53, 3306, 27017)  # detecting would wait for the client


def protocol_of(name: str, application: str | None, number: int, transport: str = "TCP") -> Protocol:
    """`transport` is TCP, UDP or SCTP; an unknown name means detection (AUTO)."""
    if transport == "UDP":
        return Protocol.UDP
    if application:
        lowered = application.lower()
        return _APPLICATION.get(lowered) or _NAMES.get(lowered, Protocol.AUTO)
    lowered = name.lower()
    prefix = "grpc-web" if lowered == "grpc-web" or lowered.startswith("grpc-web-") else lowered.partition("-")[0]
    if prefix in _NAMES:
        return _NAMES[prefix]
    return Protocol.TCP if number in _SERVER_SPEAKS_FIRST else Protocol.AUTO
