"""Certificates over a pod's own socket: what a client is told, when, and who may ask."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import SDS
from lateen.model.secretplan import SecretPlan
from lateen.serve.grpc_sds import SdsServer
from lateen.util.redact import Secret

SERVICE = "/envoy.service.secret.v3.SecretDiscoveryService"
Act = Callable[[SdsServer, Any], Awaitable[None]]


def secrets(serial: int) -> tuple[SecretPlan, SecretPlan]:
    return SecretPlan(name="default", key=Secret(b"key %d" % serial), chain=b"chain %d" % serial), SecretPlan(name="ROOTCA", root=b"root")


def serve(folder: Path, method: str, response: Any, act: Act) -> None:
    """Run `act` with a server and one stream of a client."""

    async def run() -> None:
        (folder / "sds").mkdir(exist_ok=True)
        server = SdsServer(folder / "sds" / "socket", (1337, 1337), secrets(1))
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"unix:{folder}/sds/socket") as channel, asyncio.timeout(5):
                make: Any = channel.stream_stream(f"{SERVICE}/{method}", lambda sent: sent.SerializeToString(), response.FromString)
                stream = make()
                await act(server, stream)
                stream.cancel()
        finally:
            await server.stop()
        assert list((folder / "sds").iterdir()) == [], "the socket is removed"

    asyncio.run(run())


def certificate(packed: Any) -> tuple[bytes, bytes]:
    secret = secret_pb2.Secret()
    assert packed.Unpack(secret) and secret.name == "default"
    return secret.tls_certificate.certificate_chain.inline_bytes, secret.tls_certificate.private_key.inline_bytes


def test_state_of_the_world_client_gets_each_new_certificate(tmp_path: Path) -> None:
    """As istiod's configuration asks: the name, an answer, an ACK that brings nothing, the next after the rotation."""

    async def act(server: SdsServer, stream: Any) -> None:
        await stream.write(pb.DiscoveryRequest(type_url=SDS, resource_names=["default"]))
        first = await stream.read()
        assert [certificate(each) for each in first.resources] == [(b"chain 1", b"key 1")]
        await stream.write(
            pb.DiscoveryRequest(type_url=SDS, resource_names=["default"], version_info=first.version_info, response_nonce=first.nonce)
        )
        server.update(secrets(2))
        second = await stream.read()
        assert [certificate(each) for each in second.resources] == [(b"chain 2", b"key 2")] and second.nonce != first.nonce

    serve(tmp_path, "StreamSecrets", pb.DiscoveryResponse, act)


def test_delta_client_gets_what_changed(tmp_path: Path) -> None:
    """After a rotation the root, which is the same, is not sent again."""

    async def act(server: SdsServer, stream: Any) -> None:
        await stream.write(pb.DeltaDiscoveryRequest(type_url=SDS, resource_names_subscribe=["default", "ROOTCA"]))
        first = await stream.read()
        assert sorted(each.name for each in first.resources) == ["ROOTCA", "default"]
        await stream.write(pb.DeltaDiscoveryRequest(type_url=SDS, response_nonce=first.nonce))
        server.update(secrets(2))
        second = await stream.read()
        assert [each.name for each in second.resources] == ["default"] and certificate(second.resources[0].resource)[0] == b"chain 2"

    serve(tmp_path, "DeltaSecrets", pb.DeltaDiscoveryResponse, act)


def test_other_names_bring_nothing(tmp_path: Path) -> None:
    """There is no name by which somebody else's key could be asked for."""

    async def act(_server: SdsServer, stream: Any) -> None:
        names = ["kubernetes://other", "spiffe://cluster.local/ns/a/sa/b", "../default"]
        await stream.write(pb.DiscoveryRequest(type_url=SDS, resource_names=names))
        nothing = await stream.read()
        assert not nothing.resources
        await stream.write(pb.DiscoveryRequest(type_url=SDS, resource_names=[*names, "default"], response_nonce=nothing.nonce))
        said = await stream.read()
        assert [certificate(each) for each in said.resources] == [(b"chain 1", b"key 1")]

    serve(tmp_path, "StreamSecrets", pb.DiscoveryResponse, act)


def test_socket_of_a_dead_agent_is_replaced(tmp_path: Path) -> None:
    """A file left by kill -9 does not stand in the way."""
    (tmp_path / "sds").mkdir()
    (tmp_path / "sds" / "socket").touch()

    async def act(_server: SdsServer, _stream: Any) -> None:
        assert (tmp_path / "sds" / "socket").stat().st_mode & 0o777 == 0o600

    serve(tmp_path, "StreamSecrets", pb.DiscoveryResponse, act)


def test_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    """107 bytes is the kernel's limit."""
    with pytest.raises(ValueError, match="too long for a Unix socket"):
        SdsServer(tmp_path / ("x" * 107), (1337, 1337), secrets(1))


def test_files_are_named_to_envoy(tmp_path: Path) -> None:
    """A certificate and an authority from files: Envoy is told where they are and reads them itself, in its pod and as its user."""

    async def act(_server: SdsServer, stream: Any) -> None:
        names = ["file-cert:/etc/certs/c.pem~/etc/certs/k.pem", "file-root:/etc/certs/ca.pem", "file-root:system"]
        await stream.write(
            pb.DeltaDiscoveryRequest(type_url=SDS, resource_names_subscribe=[*names, "file-cert:/etc/certs/c.pem", "file-root:"])
        )
        answer = await stream.read()
        said = {each.name: secret_pb2.Secret() for each in answer.resources}
        assert all(each.resource.Unpack(said[each.name]) for each in answer.resources)
        certificate_of, authority, system = (said[name] for name in names)
        assert len(said) == 3
        assert certificate_of.tls_certificate.certificate_chain.filename == "/etc/certs/c.pem"
        assert certificate_of.tls_certificate.private_key.filename == "/etc/certs/k.pem"
        assert authority.validation_context.trusted_ca.filename == "/etc/certs/ca.pem"
        assert system.validation_context.trusted_ca.filename.startswith("/etc/")

    serve(tmp_path, "DeltaSecrets", pb.DeltaDiscoveryResponse, act)


def test_a_refused_file_is_asked_for_again(tmp_path: Path) -> None:
    """The stream of a file that Envoy could not read ends, so that Envoy asks again; the workload's own certificate stays as it is."""

    async def act(_server: SdsServer, stream: Any) -> None:
        await stream.write(pb.DiscoveryRequest(type_url=SDS, resource_names=["file-root:/none"]))
        nonce = (await stream.read()).nonce
        refusal = pb.DiscoveryRequest(type_url=SDS, resource_names=["file-root:/none"], response_nonce=nonce)
        refusal.error_detail.message = "Invalid path: /none"
        await stream.write(refusal)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE

    serve(tmp_path, "StreamSecrets", pb.DiscoveryResponse, act)
