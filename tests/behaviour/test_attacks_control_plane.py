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

from lateen.api.meta import Key
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


def world_of(gateways: str) -> MemoryWorld:
    """A world with a certificate of the bank's, and Gateways."""
    world = MemoryWorld()
    _, chain, key = self_signed(x509.DNSName("bank.example.com"))
    world.load(gateways.replace("CHAIN", base64.b64encode(chain).decode()).replace("KEY", base64.b64encode(key).decode()))
    return world


def gateway_in(namespace: str) -> Proxy:
    """A gateway's proxy."""
    labels = (("istio", "ingressgateway"),)
    return Proxy(id="gateway", kind="router", namespace=namespace, name="gateway", addresses=("10.0.0.1",), labels=labels)


@pytest.mark.parametrize(
    ("namespace", "secrets"), [("thief", set()), ("bank", {"kubernetes://cert", "kubernetes://bank/cert"})], ids=["thief", "bank"]
)
def test_a_gateway_gets_secrets_of_its_own_namespace_only(namespace: str, secrets: set[str]) -> None:
    """However the name is written, another namespace's secret is not in what a gateway can ask for; its own is."""
    assert world_of(GATEWAYS).messages(gateway_in(namespace)).get("secrets", {}).keys() == secrets


BORROWED = "kubernetes-gateway://bank/cert"
BORROWS = f"""
apiVersion: v1
kind: Secret
metadata: {{name: cert, namespace: bank}}
type: kubernetes.io/tls
data: {{tls.crt: CHAIN, tls.key: KEY}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: borrows, namespace: front}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - {{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ["*"], tls: {{mode: SIMPLE, credentialName: "{BORROWED}"}}}}
    - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}
---
apiVersion: v1
kind: Service
metadata: {{name: backend, namespace: front}}
spec: {{clusterIP: 10.96.0.1, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: out, namespace: front}}
spec: {{host: backend, trafficPolicy: {{tls: {{mode: MUTUAL, credentialName: "RULE"}}}}}}
"""
GRANT = """
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: grant, namespace: bank}
spec:
  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: front}]
  to: [{group: "", kind: Secret}]
"""
ELSEWHERE = GRANT.replace("name: grant, namespace: bank", "name: grant, namespace: front")


def secrets_and_listeners(world: MemoryWorld, namespace: str) -> tuple[set[str], int]:
    """The secrets that a gateway of the namespace is sent, and the number of ports that it listens on."""
    messages = world.messages(gateway_in(namespace))
    return set(messages.get("secrets", {})), len(messages.get("listeners", {}))


@pytest.mark.parametrize(
    ("grant", "lent"),
    [
        ("", False),
        (GRANT, True),
        (GRANT.replace("kind: Secret}", "kind: Secret, name: cert}"), True),
        (GRANT.replace("kind: Secret}", "kind: Secret, name: another}"), False),
        (GRANT.replace("namespace: front", "namespace: back"), False),
        (GRANT.replace("kind: Gateway", "kind: HTTPRoute"), False),
        (GRANT.replace("kind: Secret}", "kind: Service}"), False),
        (GRANT.replace("group: gateway.networking.k8s.io", "group: networking.istio.io"), False),
        (ELSEWHERE, False),
    ],
    ids=["none", "all", "by name", "another name", "another namespace", "routes", "services", "another group", "the borrower's own"],
)
def test_a_secret_is_lent_where_its_namespace_grants_it(grant: str, *, lent: bool) -> None:
    """A server whose certificate is another namespace's is there only with that namespace's ReferenceGrant; other servers always."""
    world = world_of(f"{BORROWS}---{grant}")
    assert secrets_and_listeners(world, "front") == (({BORROWED}, 2) if lent else (set(), 1))


def test_a_grant_that_is_withdrawn_takes_the_secret_away() -> None:
    """With the server that showed it, so that the gateway does not go on with what it holds; and the Gateway is told why."""
    world = world_of(f"{BORROWS}---{GRANT}")
    assert secrets_and_listeners(world, "front") == ({BORROWED}, 2)
    world.remove(Key("ReferenceGrant", "bank", "grant"))
    assert secrets_and_listeners(world, "front") == (set(), 1)
    told = [one for problems in world.graph.problems().values() for one in problems if one.name == "borrows"]
    assert [one.path for one in told] == ["spec.servers[0]"]
    assert f"no ReferenceGrant in namespace bank lets Gateways of namespace front use {BORROWED}" in told[0].message


def test_a_grant_is_for_gateways_in_the_namespace_of_their_proxies() -> None:
    """A Gateway elsewhere that selects the same proxies, a proxy elsewhere, and a DestinationRule gain nothing by the grant."""
    stranger = BORROWS.replace("name: borrows, namespace: front", "name: borrows, namespace: thief")
    assert secrets_and_listeners(world_of(f"{stranger}---{GRANT}"), "front") == (set(), 1)
    assert secrets_and_listeners(world_of(f"{BORROWS}---{GRANT}"), "thief") == (set(), 1)
    rule = BORROWS.replace("RULE", BORROWED).replace(f', tls: {{mode: SIMPLE, credentialName: "{BORROWED}"}}', "").replace("HTTPS", "HTTP")
    world = world_of(f"{rule}---{GRANT}")
    assert secrets_and_listeners(world, "front")[0] == set()
    assert any("only Gateways of namespace front" in one.message for problems in world.graph.problems().values() for one in problems)
