"""The certificate service that Istio's agents speak: `istio.v1.auth.IstioCertificateService/CreateCertificate`.

Who gets a certificate, and for whom, follows from how the caller proved who it is and from nothing in the request. Must not hold keys: it
is given somebody who signs.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from lateen.ca.csr import CsrError
from lateen.ca.signer import TtlError
from lateen.ca.spiffe import Identity
from lateen.runtime import log
from lateen.serve.callers import Caller, Callers
from lateen.serve.certificatelimits import CertificateLimits

__all__ = ["SERVICE", "CertificateService", "message_types"]

SERVICE = "istio.v1.auth.IstioCertificateService"
_PACKAGE = "istio.v1.auth"
_IMPERSONATED = "ImpersonatedIdentity"
_log = log.get("ca")

Context = Any  # grpc.aio.ServicerContext is generic in its stubs only
Message = Any


class Signs(Protocol):
    """The mesh's authority."""

    def __call__(self, csr_pem: bytes, identity: Identity, ttl: float) -> tuple[bytes, ...]: ...


def message_types() -> tuple[type[Message], type[Message]]:
    """IstioCertificateRequest and IstioCertificateResponse; no package on PyPI has them, and they are six fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name="lateen/istio_ca.proto", package=_PACKAGE, syntax="proto3", dependency=[struct_pb2.DESCRIPTOR.name]
    )
    field = descriptor_pb2.FieldDescriptorProto
    request = file.message_type.add(name="IstioCertificateRequest")
    request.field.add(name="csr", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    request.field.add(name="validity_duration", number=3, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    request.field.add(name="metadata", number=4, type=field.TYPE_MESSAGE, type_name=".google.protobuf.Struct", label=field.LABEL_OPTIONAL)
    answer = file.message_type.add(name="IstioCertificateResponse")
    answer.field.add(name="cert_chain", number=1, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    pool = descriptor_pool.Default()
    pool.Add(file) if not _known(pool) else None
    return tuple(  # type: ignore[return-value]
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.IstioCertificate{name}"))
        for name in ("Request", "Response")
    )


def _known(pool: descriptor_pool.DescriptorPool) -> bool:
    try:
        pool.FindMessageTypeByName(f"{_PACKAGE}.IstioCertificateRequest")
    except KeyError:
        return False
    return True


class CertificateService:
    """`callers` says who asks, `limits` how often they may; `tell` is told what happens, in the words of Citadel's counters."""

    def __init__(
        self, sign: Signs, callers: Callers, tell: Callable[[str], None] = lambda _event: None, limits: CertificateLimits | None = None
    ) -> None:
        self._tell = tell
        self._limits = limits or CertificateLimits()
        self._sign = sign
        self._callers = callers
        self._request, self._response = message_types()

    def register(self, server: grpc.aio.Server) -> None:
        """Serve certificates on `server`."""
        create: grpc.RpcMethodHandler[Any, Any] = grpc.unary_unary_rpc_method_handler(
            self._create,
            request_deserializer=self._request.FromString,
            response_serializer=self._response.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": create}),))

    async def _create(self, request: Message, context: Context) -> Message:
        self._tell("csr")
        identity = (await self._admit(context)).identity
        if _IMPERSONATED in request.metadata:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f"{identity.uri} may not ask for another's certificate ({_IMPERSONATED})"
            )
        try:
            chain = self._sign(request.csr.encode(), identity, float(request.validity_duration))
        except (CsrError, TtlError) as error:
            self._tell("csr_parsing_err" if isinstance(error, CsrError) else "TTL_ERROR")
            _log.warning("certificate refused", caller=identity.uri, reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        self._tell("success_cert_issuance")
        return self._response(cert_chain=[part.decode() for part in chain])

    async def _admit(self, context: Context) -> Caller:
        now = asyncio.get_running_loop().time
        if address := self._callers.stranger(context):
            await self._hold(context, self._limits.stranger(address, now()))
        caller = await self._callers.of(context)
        if caller is None:
            self._tell("authentication_failure")
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "neither a certificate of this mesh nor a token that the cluster knows")
            raise AssertionError
        await self._hold(context, self._limits.caller(caller, now()))
        return caller

    async def _hold(self, context: Context, why: str) -> None:
        """End the call where there is a reason to."""
        if why:
            self._tell("RATE_LIMITED")
            _log.warning("certificate refused", reason=why)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
