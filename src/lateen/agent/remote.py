"""The authority at the other end of a connection: asked over TLS with the token of the pod's service account.

The token's file is read for every request, so that a token which was renewed counts; so is the file of roots. Must not keep either.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

from lateen.runtime import log
from lateen.runtime.clock import Clock, until_set
from lateen.serve.grpc_ca import SERVICE, message_types

__all__ = ["RemoteAuthority"]

_LONGEST = 16 * 1024  # bytes of a token
_SECONDS = 10.0
_log = log.get("certificates")


class RemoteAuthority:
    """A `CertificateSource` at `address` (host:port), whose certificate must be by one of the roots in a file and for `server_name`."""

    revoked = b""  # proxies of machines are told no lists

    def __init__(self, address: str, server_name: str, roots: Path, token: Path, clock: Clock) -> None:
        self._clock = clock
        self._address = address
        self._options = (("grpc.ssl_target_name_override", server_name),)
        self._roots = roots
        self._token = token

    async def sign(self, csr_pem: bytes, ttl: float) -> Sequence[bytes]:
        """Ask once; OSError says what stands in the way."""
        token = _read(self._token, "token of the service account").decode(errors="replace").strip()
        if not token or len(token) > _LONGEST or not token.isascii() or not token.isprintable():
            raise OSError(f"{self._token}: expected the token of a service account, as Kubernetes projects it (audience istio-ca)")
        credentials = grpc.ssl_channel_credentials(_read(self._roots, "roots of the control plane"))
        request_type, answer_type = message_types()
        request: Any = request_type(csr=csr_pem.decode(), validity_duration=int(ttl))
        async with grpc.aio.secure_channel(self._address, credentials, self._options) as channel:
            create: Any = channel.unary_unary(f"/{SERVICE}/CreateCertificate", request_type.SerializeToString, answer_type.FromString)
            try:
                answer = await create(request, metadata=[("authorization", f"Bearer {token}")], timeout=_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise OSError(f"{self._address} gave no certificate: {error.code().name}: {error.details()}") from None
        return tuple(part.encode() for part in answer.cert_chain)

    async def changed(self) -> None:
        """Another authority is not heard of before the next renewal; a clock that was set makes certificates old, or not valid yet."""
        moved = await until_set(self._clock)
        _log.warning("the machine's clock was set: the certificate is renewed", by_seconds=round(moved))


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OSError(f"{path}: the {what} cannot be read: {error.strerror}") from None
