"""ServiceEntries and WorkloadEntries field by field on a real Envoy; and Services that Kubernetes has in unusual forms."""

from collections import Counter

import pytest

from lateen.testing.liveenvoy import LiveEnvoy
from lateen.testing.manifests import rule, service
from lateen.testing.yard import Dial, Heard, Server

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HOST = "ext.example.com"


def entry(spec: str, *, name: str = "ext", namespace: str = "default", hosts: str = HOST) -> str:
    """A ServiceEntry of an HTTP port."""
    return (
        f"---\nkind: ServiceEntry\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{hosts: ['{hosts}'], {spec}}}\n"
    )


def call(address: str = "10.7.7.7", port: int = 80, host: str = HOST) -> Dial:
    return Dial(address=address, port=port, redirect=15001, host=host)


def answered(heard: Heard) -> str:
    """Where, or with which status."""
    return str(heard.json()["server"]) if heard.status == 200 else str(heard.status)


PORT = "ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]"


def test_each_resolution_finds_its_servers(sidecar: LiveEnvoy) -> None:
    """STATIC at the endpoints, DNS at the names of endpoints or of the host itself, NONE where the client dialled."""
    found = {}
    for resolution, endpoints in (
        ("STATIC", "endpoints: [{address: 10.3.0.1}], "),
        ("DNS", "endpoints: [{address: far.example.net}], "),
        ("DNS_ROUND_ROBIN", ""),
        ("NONE", ""),
    ):
        sidecar.obey(entry(f"resolution: {resolution}, location: MESH_EXTERNAL, {endpoints}{PORT}"))
        seen = sidecar.call(call(port=80))[0]
        assert seen.log is not None
        found[resolution] = (seen.log.cluster, seen.log.upstream)
    cluster = f"outbound|80||{HOST}"
    assert found == {
        "STATIC": (cluster, "10.3.0.1:8080"),
        "DNS": (cluster, "10.0.5.5:8080"),
        "DNS_ROUND_ROBIN": (cluster, "10.0.5.5:8080"),
        "NONE": (cluster, "10.7.7.7:80"),
    }


def test_addresses_make_listeners_of_their_own(sidecar: LiveEnvoy) -> None:
    """TCP at an address and in a range; another address passes as it is."""
    tcp = "ports: [{number: 9001, name: tcp, protocol: TCP, targetPort: 9000}]"
    ranged = f"addresses: [10.9.0.0/16], resolution: STATIC, endpoints: [{{address: 10.3.0.3}}], {tcp}"
    sidecar.obey(
        entry(f"addresses: [10.8.0.1], resolution: STATIC, endpoints: [{{address: 10.3.0.2}}], {tcp}"),
        entry(ranged, name="two", hosts="b.example.com"),
    )
    dialled = ("10.8.0.1", "10.9.4.4", "10.11.0.1")
    seen = sidecar.call(*(Dial(address=one, port=9001, redirect=15001, protocol="tcp") for one in dialled))
    assert [one.log.upstream if one.log is not None else None for one in seen] == ["10.3.0.2:9000", "10.3.0.3:9000", "10.11.0.1:9001"]


def test_workloads_are_found_by_labels(sidecar: LiveEnvoy) -> None:
    """WorkloadEntries and ready pods, with their ports, weights and sockets."""
    socket = sidecar.folder / "up"
    pod = """---
kind: Pod
apiVersion: v1
metadata: {name: db-1, namespace: default, labels: {app: db}}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.3.0.4, podIPs: [{ip: 10.3.0.4}], conditions: [{type: Ready, status: "True"}]}
"""
    machine = """---
kind: WorkloadEntry
apiVersion: networking.istio.io/v1
metadata: {name: machine, namespace: default}
spec: {address: 10.3.0.5, labels: {app: db}, weight: 3, ports: {http: 8091}}
"""
    sidecar.serve(Server(address="10.3.0.5", port=8091))
    selected = f"location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {{labels: {{app: db}}}}, {PORT}"
    sidecar.obey(entry(selected), pod, machine, rule("{loadBalancer: {simple: ROUND_ROBIN}}", host=HOST))
    assert Counter(answered(one) for one in sidecar.ask(*[call()] * 16)) == {"10.3.0.5:8091": 12, "10.3.0.4:8080": 4}
    sidecar.serve(Server(address=f"unix://{socket}", kind="tcp", greeting=""))
    sidecar.obey(
        entry(
            f"addresses: [10.8.0.2], resolution: STATIC, endpoints: [{{address: 'unix://{socket}'}}], "
            "ports: [{number: 9002, name: tcp, protocol: TCP}]"
        )
    )
    assert "heard hello" in sidecar.ask(Dial(address="10.8.0.2", port=9002, redirect=15001, protocol="tcp"))[0].body


def test_who_sees_an_entry_and_how_it_is_spoken_to(sidecar: LiveEnvoy) -> None:
    """`exportTo`; mutual TLS inside the mesh only; names that a server's certificate may have."""
    static = f"resolution: STATIC, endpoints: [{{address: 10.3.0.6, labels: {{security.istio.io/tlsMode: istio}}}}], {PORT}"
    for place, export, expected in (("default", "'.'", "10.3.0.6:8080"), ("shops", "'.'", ""), ("shops", "'*'", "10.3.0.6:8080")):
        sidecar.obey(entry(f"location: MESH_EXTERNAL, exportTo: [{export}], {static}", namespace=place))
        heard = sidecar.ask(call())[0]
        assert (answered(heard) == expected) == bool(expected), place
    port = 8092
    sidecar.serve(Server(address="10.3.0.6", port=port, certificate=sidecar.certificate))
    inside = static.replace("8080", str(port))
    for location, protocol in (("MESH_INTERNAL", "200"), ("MESH_EXTERNAL", "503")):
        sidecar.obey(entry(f"location: {location}, {inside}"))
        assert str(sidecar.ask(call())[0].status) == protocol
    origination = rule("{tls: {mode: SIMPLE, caCertificates: /root.pem}}", host=HOST)
    for names, status in (("[spiffe://cluster.local/ns/default/sa/app]", 200), ("[other.example.com]", 503)):
        sidecar.obey(entry(f"location: MESH_EXTERNAL, subjectAltNames: {names}, {inside}"), origination)
        assert sidecar.ask(call())[0].status == status


def test_services_in_unusual_forms(sidecar: LiveEnvoy) -> None:
    """ExternalName stands for another host; a headless one is reached at its pods; a named port is each pod's own; not ready may count."""
    more = """---
kind: Service
apiVersion: v1
metadata: {name: alias, namespace: default}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
kind: Service
apiVersion: v1
metadata: {name: pods, namespace: default}
spec: {clusterIP: None, ports: [{name: http, port: 8080}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: pods-1, namespace: default, labels: {kubernetes.io/service-name: pods}}
addressType: IPv4
endpoints: [{addresses: [10.3.0.7]}]
ports: [{name: http, port: 8080}]
---
kind: Service
apiVersion: v1
metadata: {name: early, namespace: default}
spec: {clusterIP: 10.96.0.12, publishNotReadyAddresses: PUBLISH, ports: [{name: http, port: 80, targetPort: web}]}
---
kind: EndpointSlice
apiVersion: discovery.k8s.io/v1
metadata: {name: early-1, namespace: default, labels: {kubernetes.io/service-name: early}}
addressType: IPv4
endpoints: [{addresses: [10.3.0.8], conditions: {ready: false}}]
ports: [{name: http, port: 8080}]
"""
    calls = (
        call("10.96.0.1", host="alias"),
        call("10.3.0.7", 8080, host="pods"),
        call("10.3.0.7", 8080, host="pod-0.pods.default.svc.cluster.local"),
        call("10.96.0.12", host="early"),
    )
    found = {}
    for publish in ("true", "false"):
        sidecar.obey(service("web", 1), more.replace("PUBLISH", publish))
        found[publish] = [answered(one) for one in sidecar.ask(*calls)]
    same = ["10.0.1.1:8080", "10.3.0.7:8080", "10.3.0.7:8080"]
    assert found == {"true": [*same, "10.3.0.8:8080"], "false": [*same, "503"]}


@pytest.mark.parametrize(
    ("visibility", "namespace", "status"),
    [
        ("NONE", "default", "0"),
        ("NAMESPACE", "default", "10.3.0.1:8080"),
        ("NAMESPACE", "other", "0"),
        ("PUBLIC", "other", "10.3.0.1:8080"),
    ],
)
def test_the_mesh_says_who_sees_an_entry(sidecar: LiveEnvoy, visibility: str, namespace: str, status: str) -> None:
    """Who does not see it is sent nowhere (0), whatever it exports itself to; a namespace's label may make an exception of it."""
    settings = (
        "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nserviceEntryVisibility:\n  applyToSidecars: true\n"
        f"  defaultVisibility: {visibility}\n"
        "  policies: [{visibility: PUBLIC, matchingRules: [{namespaceSelector: {matchLabels: {open: yes-it-is}}}]}]\n"
    )
    one = entry(f"resolution: STATIC, endpoints: [{{address: 10.3.0.1}}], {PORT}", namespace=namespace)
    sidecar.obey(one, mesh=settings)
    assert answered(sidecar.ask(call())[0]) == status
    label = f"---\nkind: Namespace\napiVersion: v1\nmetadata: {{name: {namespace}, labels: {{open: yes-it-is}}}}\n"
    sidecar.obey(one, label, mesh=settings)
    assert answered(sidecar.ask(call())[0]) == "10.3.0.1:8080"
