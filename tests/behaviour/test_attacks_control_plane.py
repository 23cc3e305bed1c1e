"""A workload with a good certificate of its own that claims to be another at the control plane's doors: refused."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from cryptography import x509
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb
from google.protobuf import json_format

from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.model.scope import Proxy
from lateen.runtime.clock import SystemClock
from lateen.serve.callers import Caller, Callers
from lateen.serve.grpc_ads import AdsService
from lateen.serve.grpc_ca import SERVICE, CertificateService, message_types
from lateen.serve.grpc_doors import open_secure_door
from lateen.server.rootca import ControlPlaneIdentity
from lateen.testing.certificates import self_signed
from lateen.testing.mesh import free_port
from lateen.testing.world import MemoryWorld

CLOCK = SystemClock()
SIGNER = Signer(SelfSignedRoot.create("cluster.local", CLOCK.now()))
SLEEP = Identity("cluster.local", "default", "sleep")


class Hub:
    """Lets nobody further: whom it is asked to connect was admitted."""

    def connect(self, *_: object, **__: object) -> Any:
        raise LookupError("admitted")


def node(namespace: str, account: str) -> base_pb2.Node:
    """A sidecar's node of that namespace and service account."""
    metadata = {"NAMESPACE": namespace, "SERVICE_ACCOUNT": account, "INSTANCE_IPS": "10.0.0.1", "NAME": "app"}
    raw = {"id": f"sidecar~10.0.0.1~app.{namespace}~{namespace}.svc.cluster.local", "metadata": metadata}
    return json_format.ParseDict(raw, base_pb2.Node())


async def review(token: str) -> Caller | None:
    """The cluster's word: each token is named for its account and its pod."""
    account, _, pod = token.partition("@")
    return Caller(Identity("cluster.local", "default", account), pod) if account == "sleep" else None


async def _answer(claimed: base_pb2.Node, token: str = "") -> grpc.StatusCode:
    address = f"localhost:{free_port()}"
    door = open_secure_door(address, ControlPlaneIdentity(SIGNER, Identity("cluster.local", "istio-system", "istiod"), CLOCK))
    await door.serve(AdsService(Hub(), callers=Callers("cluster.local", door.peer, review))).start()
    key, request = new_request(SLEEP)
    proof = () if token else (key.reveal(), SIGNER.sign(request, SLEEP, 0, CLOCK.now())[0])
    metadata = [("authorization", f"Bearer {token}")] if token else []

    async def requests() -> AsyncIterator[pb.DeltaDiscoveryRequest]:
        yield pb.DeltaDiscoveryRequest(node=claimed, type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster")

    async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(SIGNER.roots_pem, *proof)) as channel:
        call = channel.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
            pb.DeltaDiscoveryRequest.SerializeToString,
            pb.DeltaDiscoveryResponse.FromString,
        )(requests(), timeout=10, metadata=metadata)
        try:
            await call.read()
            code: grpc.StatusCode = await call.code()
        except grpc.aio.AioRpcError as error:
            code = error.code()
    await door.stop(0)
    return code


@pytest.mark.parametrize(("namespace", "account"), [("default", "admin"), ("istio-system", "sleep"), ("other", "sleep"), ("default", "")])
def test_a_stream_that_claims_anothers_node_is_refused(namespace: str, account: str) -> None:
    """The certificate of default/sleep opens a stream for no other namespace and no other service account."""
    assert asyncio.run(_answer(node(namespace, account))) == grpc.StatusCode.PERMISSION_DENIED


def test_a_stream_of_ones_own_node_is_admitted() -> None:
    """The same certificate gets as far as the hub with its own node."""
    assert asyncio.run(_answer(node("default", "sleep"))) == grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(
    ("token", "account", "code"),
    [
        ("sleep@app", "sleep", grpc.StatusCode.UNKNOWN),
        ("sleep", "sleep", grpc.StatusCode.UNKNOWN),
        ("sleep@app", "admin", grpc.StatusCode.PERMISSION_DENIED),
        ("sleep@another", "sleep", grpc.StatusCode.PERMISSION_DENIED),
        ("forged", "sleep", grpc.StatusCode.PERMISSION_DENIED),
    ],
    ids=["the pod's own", "one bound to no pod", "another account's node", "another pod's token", "nobody's token"],
)
def test_a_token_opens_a_stream_for_its_own_pod_only(token: str, account: str, code: grpc.StatusCode) -> None:
    """A client without a certificate gets as far as the hub (UNKNOWN) with the token of the pod that its node claims."""
    assert asyncio.run(_answer(node("default", account), token)) == code


@pytest.mark.parametrize("token", ["", "sleep@app"], ids=["certificate", "token"])
def test_a_request_for_anothers_identity_gets_ones_own(token: str) -> None:
    """A CSR that names default/admin, from default/sleep: the certificate is for sleep, however it proved itself."""
    request_type, answer_type = message_types()

    async def ask() -> list[str]:
        address = f"localhost:{free_port()}"
        door = open_secure_door(address, ControlPlaneIdentity(SIGNER, Identity("cluster.local", "istio-system", "istiod"), CLOCK))
        service = CertificateService(
            lambda csr, who, ttl: SIGNER.sign(csr, who, ttl, CLOCK.now()), Callers("cluster.local", door.peer, review)
        )
        await door.serve(service).start()
        key, request = new_request(SLEEP)
        proof = () if token else (key.reveal(), SIGNER.sign(request, SLEEP, 0, CLOCK.now())[0])
        csr = new_request(Identity("cluster.local", "default", "admin"))[1].decode()
        async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(SIGNER.roots_pem, *proof)) as channel:
            create: Any = channel.unary_unary(f"/{SERVICE}/CreateCertificate", request_type.SerializeToString, answer_type.FromString)
            metadata = [("authorization", f"Bearer {token}")] if token else []
            answer = await create(request_type(csr=csr), metadata=metadata, timeout=10)
        await door.stop(0)
        leaf = x509.load_pem_x509_certificate(answer.cert_chain[0].encode())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return [str(name.value) for name in names]

    assert asyncio.run(ask()) == [SLEEP.uri]


GATEWAYS = """
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: bank}
type: kubernetes.io/tls
data: {tls.crt: CHAIN, tls.key: KEY}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: thief, namespace: thief}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: cert}}
    - {port: {number: 444, name: https-2, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: "kubernetes://bank/cert"}}
    - {port: {number: 445, name: https-3, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: "bank/cert"}}
    - {port: {number: 446, name: https-4, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: "../bank/cert"}}
"""


@pytest.mark.parametrize(("namespace", "secrets"), [("thief", set()), ("bank", {"kubernetes://cert"})])
def test_a_gateway_gets_secrets_of_its_own_namespace_only(namespace: str, secrets: set[str]) -> None:
    """However the name is written, another namespace's secret is not in what a gateway can ask for; its own is."""
    world = MemoryWorld()
    _, chain, key = self_signed(x509.DNSName("bank.example.com"))
    world.load(GATEWAYS.replace("CHAIN", base64.b64encode(chain).decode()).replace("KEY", base64.b64encode(key).decode()))
    labels = (("istio", "ingressgateway"),)
    gateway = Proxy(id="gateway", kind="router", namespace=namespace, name="gateway", addresses=("10.0.0.1",), labels=labels)
    assert world.messages(gateway).get("secrets", {}).keys() == secrets
