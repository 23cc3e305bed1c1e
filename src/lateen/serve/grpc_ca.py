"""The certificate service that Istio's agents speak: `istio.v1.auth.IstioCertificateService/CreateCertificate`.

Who gets a certificate, and for whom, follows from how the caller proved who it is and from nothing in the request: the certificate of
its connection, else a bearer token that the cluster vouches for. Must not hold keys: it is given somebody who signs.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

from lateen.ca.csr import CsrError
from lateen.ca.signer import TtlError
from lateen.ca.spiffe import Identity, SpiffeError
from lateen.runtime import log

__all__ = ["SERVICE", "CertificateService", "Review", "message_types"]

SERVICE = "istio.v1.auth.IstioCertificateService"
_PACKAGE = "istio.v1.auth"
_BEARER = "bearer "
_IMPERSONATED = "ImpersonatedIdentity"
_log = log.get("ca")

Context = Any  # grpc.aio.ServicerContext is generic in its stubs only
Message = Any
Review = Callable[[str], Awaitable[Identity | None]]  # whose token it is, None where nobody's


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
    """`trust_domain` is the mesh's; `review` says whose a bearer token is."""

    def __init__(self, sign: Signs, trust_domain: str, review: Review) -> None:
        self._sign = sign
        self._trust_domain = trust_domain
        self._review = review
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
        identity = await self._caller(context)
        if identity is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "neither a certificate of this mesh nor a token that the cluster knows")
            raise AssertionError
        if _IMPERSONATED in request.metadata:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED, f"{identity.uri} may not ask for another's certificate ({_IMPERSONATED})"
            )
        try:
            chain = self._sign(request.csr.encode(), identity, float(request.validity_duration))
        except (CsrError, TtlError) as error:
            _log.warning("certificate refused", caller=identity.uri, reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        return self._response(cert_chain=[part.decode() for part in chain])

    async def _caller(self, context: Context) -> Identity | None:
        names = context.auth_context().get("x509_subject_alternative_name", ())
        proved = [found for name in names if (found := self._identity(name.decode(errors="replace"))) is not None]
        if proved:
            return proved[0] if len(proved) == 1 else None
        fields = [str(value) for key, value in context.invocation_metadata() or () if key == "authorization"]
        if len(fields) != 1 or not fields[0].lower().startswith(_BEARER):
            return None
        return await self._review(fields[0][len(_BEARER) :])

    def _identity(self, uri: str) -> Identity | None:
        parts = uri.split("/")
        if len(parts) != 7 or parts[:3] != ["spiffe:", "", self._trust_domain] or (parts[3], parts[5]) != ("ns", "sa"):
            return None
        try:
            return Identity(self._trust_domain, parts[4], parts[6])
        except SpiffeError:
            return None
