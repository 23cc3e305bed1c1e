"""PeerAuthentication: which mode counts, and the inbound chains that follow."""

import pytest

from lateen.api.decode import decode_documents
from lateen.api.security import PeerAuthentication
from lateen.compile.authn import effective_authn, namespace_mode
from lateen.compile.inboundports import inbound_ports
from lateen.compile.plan_inbound import InboundSettings, plan_inbound
from lateen.model.authn import Authn, MtlsMode
from lateen.model.listenerplan import HttpPlan, ListenerPlan
from lateen.model.scope import ServiceInstance
from lateen.model.service import Port, Protocol, ServiceKey

ROOT = "istio-system"
LABELS = (("app", "web"),)


def policy(namespace: str, spec: str, created: str = "2026-01-01T00:00:00Z", name: str = "p") -> PeerAuthentication:
    """A PeerAuthentication of a spec."""
    text = (
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}\nspec: {spec}\n"
    )
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, PeerAuthentication)
    return obj


def test_the_default_is_permissive() -> None:
    """Without any policy plaintext is taken too."""
    assert effective_authn((), "default", (), ROOT) == Authn(mode=MtlsMode.PERMISSIVE)


def test_the_narrowest_scope_wins() -> None:
    """Workload over namespace over mesh."""
    mesh, own = policy(ROOT, "{mtls: {mode: STRICT}}"), policy("default", "{mtls: {mode: DISABLE}}")
    workload = policy("default", "{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}}")
    assert namespace_mode((mesh,), "default", ROOT) == MtlsMode.STRICT
    assert namespace_mode((mesh, own), "default", ROOT) == MtlsMode.DISABLE
    assert effective_authn((mesh, own, workload), "default", (LABELS,), ROOT).mode == MtlsMode.PERMISSIVE
    assert effective_authn((mesh, own, workload), "default", (), ROOT).mode == MtlsMode.DISABLE


def test_the_oldest_of_a_scope_wins() -> None:
    """Two for one namespace: the first created counts."""
    old = policy("default", "{mtls: {mode: STRICT}}", created="2025-01-01T00:00:00Z", name="z")
    new = policy("default", "{mtls: {mode: DISABLE}}", name="a")
    assert namespace_mode((new, old), "default", ROOT) == MtlsMode.STRICT


def test_unset_inherits() -> None:
    """A policy that only names ports keeps the namespace's mode for the others."""
    strict = policy("default", "{mtls: {mode: STRICT}}")
    ports = policy("default", "{selector: {matchLabels: {app: web}}, portLevelMtls: {9000: {mode: DISABLE}, 9001: {mode: UNSET}}}")
    authn = effective_authn((strict, ports), "default", (LABELS,), ROOT)
    assert (authn.of(80), authn.of(9000), authn.of(9001)) == (MtlsMode.STRICT, MtlsMode.DISABLE, MtlsMode.STRICT)


def listener(protocol: Protocol, mode: MtlsMode) -> ListenerPlan:
    """The inbound listener of a workload with one port 8080."""
    port = Port(number=80, name="p", protocol=protocol, target_port=8080)
    instance = ServiceInstance(service=ServiceKey("default", "web.default.svc.cluster.local"), port=port, target_port=8080)
    return plan_inbound(
        inbound_ports([instance], None, ""), Authn(mode=mode), InboundSettings(client_prefixes=("spiffe://cluster.local/",))
    )


def chains(plan: ListenerPlan) -> list[tuple[str, str, bool]]:
    """Of port 8080: transport, HTTP or TCP, whether mutual TLS is required."""
    found = [chain for chain in plan.chains if chain.match is not None and chain.match.port == 8080]
    kinds = ["http" if isinstance(chain.application, HttpPlan) else "tcp" for chain in found]
    return [(chain.match.transport, kind, chain.tls is not None) for chain, kind in zip(found, kinds, strict=True) if chain.match]


@pytest.mark.parametrize(
    ("protocol", "mode", "expected"),
    [
        (Protocol.HTTP, MtlsMode.PERMISSIVE, [("tls", "http", True), ("raw_buffer", "http", False)]),
        (Protocol.HTTP, MtlsMode.STRICT, [("tls", "http", True)]),
        (Protocol.HTTP, MtlsMode.DISABLE, [("raw_buffer", "http", False)]),
        (Protocol.TCP, MtlsMode.PERMISSIVE, [("tls", "tcp", True), ("tls", "tcp", False), ("raw_buffer", "tcp", False)]),
        (Protocol.TCP, MtlsMode.STRICT, [("tls", "tcp", True)]),
        (Protocol.AUTO, MtlsMode.STRICT, [("tls", "http", True), ("tls", "tcp", True)]),
        (
            Protocol.AUTO,
            MtlsMode.PERMISSIVE,
            [
                ("tls", "http", True),
                ("raw_buffer", "http", False),
                ("tls", "tcp", True),
                ("raw_buffer", "tcp", False),
                ("tls", "tcp", False),
            ],
        ),
    ],
)
def test_the_chains_of_a_port_follow_from_protocol_and_mode(
    protocol: Protocol, mode: MtlsMode, expected: list[tuple[str, str, bool]]
) -> None:
    """The matrix of Istio: STRICT has no chain for plaintext, DISABLE none for TLS of the mesh."""
    assert chains(listener(protocol, mode)) == expected


def test_strict_looks_for_no_http_in_plaintext() -> None:
    """There is nothing to tell apart, and the first bytes need not be waited for."""
    assert [inspector.kind for inspector in listener(Protocol.HTTP, MtlsMode.STRICT).inspectors] == ["tls"]
    assert [inspector.kind for inspector in listener(Protocol.HTTP, MtlsMode.PERMISSIVE).inspectors] == ["tls", "http"]


def test_the_policies_that_decide_own_what_is_made() -> None:
    """From the narrowest to the first that inherits from no wider one; not one that a narrower or an older one leaves no say."""
    mesh, own = policy(ROOT, "{mtls: {mode: STRICT}}", name="mesh"), policy("default", "{mtls: {mode: DISABLE}}", name="namespace")
    newer = policy("default", "{mtls: {mode: STRICT}}", created="2027-01-01T00:00:00Z", name="newer")
    ports = policy("default", "{selector: {matchLabels: {app: web}}, portLevelMtls: {9000: {mode: PERMISSIVE}}}", name="ports")
    strict = policy("default", "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}", name="strict")

    def owners(*policies: PeerAuthentication) -> list[str]:
        return [key.name for key, _ in effective_authn(policies, "default", (LABELS,), ROOT).owners]

    assert owners() == []
    assert owners(mesh, own, newer) == ["namespace"]
    assert owners(mesh, own, ports) == ["ports", "namespace"]
    assert owners(mesh, ports) == ["ports", "mesh"]
    assert owners(mesh, own, strict) == ["strict"]
