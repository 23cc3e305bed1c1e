"""Gateways field by field on a real Envoy that serves the outside."""

from collections.abc import Iterable

import pytest

from lateen.model.mesh import Settings
from lateen.testing.certificates import secret_object
from lateen.testing.liveenvoy import GATEWAY, LiveEnvoy
from lateen.testing.manifests import service
from lateen.testing.yard import Dial, Heard, Server, Tls
from lateen.xds.resources import CLUSTER, ENDPOINTS

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

WEB, SHOP, DB = service("web", 1), service("shop", 2), service("db", 3, port=3306, target=9000, kind="tcp")


def gateway_object(name: str, *servers: str, namespace: str = "default", created: str = "2026-01-01T00:00:00Z") -> str:
    """A Gateway for the one gateway there is."""
    return (
        "---\nkind: Gateway\napiVersion: networking.istio.io/v1\n"
        f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}\n"
        f"spec: {{selector: {{istio: ingressgateway}}, servers: [{', '.join(servers)}]}}\n"
    )


def server(port: int, protocol: str, hosts: str, more: str = "") -> str:
    return f"{{port: {{number: {port}, name: p{port}, protocol: {protocol}}}, hosts: [{hosts}]{more}}}"


def routes(name: str, hosts: str, spec: str, *, gateways: str = "one", namespace: str = "default") -> str:
    """A VirtualService of Gateways."""
    return (
        f"---\nkind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        f"spec: {{hosts: [{hosts}], gateways: [{gateways}], {spec}}}\n"
    )


def to(host: str, port: int = 80) -> str:
    return f"route: [{{destination: {{host: {host}.default.svc.cluster.local, port: {{number: {port}}}}}}}]"


def http(host: str) -> str:
    return f"http: [{{{to(host)}}}]"


def places(heard: Iterable[Heard]) -> list[str]:
    """Where each call was answered, or with which status."""
    return [one.json()["server"].partition(":")[0] if one.status == 200 else str(one.status) for one in heard]


def test_several_gateways_on_one_port_are_one(gateway: LiveEnvoy) -> None:
    """HTTP servers of two Gateways share a port; VirtualServices of one host are merged; an unknown host is 404, NR."""
    gateway.obey(
        WEB + SHOP,
        gateway_object("one", server(8081, "HTTP", "'*.example.com'")),
        gateway_object("two", server(8081, "HTTP", "'*.example.org'")),
        routes("a", "a.example.com", f"http: [{{match: [{{uri: {{prefix: /shop}}}}], {to('shop')}}}]"),
        routes("b", "a.example.com", http("web")),
        routes("c", "b.example.org", http("shop"), gateways="two"),
        routes("d", "c.example.org", http("shop"), gateways="one"),
        mesh="{}",
        proxy=GATEWAY,
    )
    calls = [("a.example.com", "/"), ("a.example.com", "/shop"), ("b.example.org", "/"), ("c.example.org", "/"), ("other", "/")]
    seen = gateway.call(*(Dial(port=8081, host=host, target=path) for host, path in calls))
    assert places(one.heard for one in seen) == ["10.0.1.1", "10.0.2.1", "10.0.2.1", "404", "404"]
    assert seen[-1].log is not None and seen[-1].log.flags == "NR"


def test_hosts_may_name_the_namespace_of_rules(gateway: LiveEnvoy) -> None:
    """`ns/host` takes VirtualServices of that namespace alone, `./host` those of the Gateway's own."""
    gateway.obey(
        WEB + SHOP,
        gateway_object("one", server(8081, "HTTP", "shops/a.example.com, ./b.example.com, '*/c.example.com'")),
        *(routes(f"own-{host}", f"{host}.example.com", http("web")) for host in "abc"),
        *(routes(f"their-{host}", f"{host}.example.com", http("shop"), namespace="shops", gateways="default/one") for host in "ab"),
        proxy=GATEWAY,
    )
    heard = gateway.ask(*(Dial(port=8081, host=f"{host}.example.com") for host in "abc"))
    assert places(heard) == ["10.0.2.1", "10.0.1.1", "10.0.1.1"]


def test_an_address_and_a_redirect(gateway: LiveEnvoy) -> None:
    """`bind` listens there alone; `httpsRedirect` answers 301; a rule may redirect by itself."""
    gateway.obey(
        WEB,
        gateway_object(
            "one",
            server(8082, "HTTP", "'*'", ", bind: 10.0.9.8"),
            server(8083, "HTTP", "'*'", ", tls: {httpsRedirect: true}"),
            server(8084, "HTTP", "'*'"),
        ),
        routes("a", "'*'", f"http: [{{match: [{{port: 8084}}], redirect: {{uri: /new, redirectCode: 308}}}}, {{{to('web')}}}]"),
        proxy=GATEWAY,
    )
    here, there, secure, moved = gateway.ask(
        Dial(address="10.0.9.8", port=8082), Dial(port=8082), Dial(port=8083, host="x.example.com"), Dial(port=8084, host="y")
    )
    assert (here.status, bool(there.error)) == (200, True)
    assert (secure.status, secure.headers["location"]) == (301, "https://x.example.com/")
    assert (moved.status, moved.headers["location"]) == (308, "http://y/new")


def test_tls_is_ended_for_http_and_for_bytes(gateway: LiveEnvoy) -> None:
    """A certificate per host by SNI, versions held to, TCP behind TLS; what is renewed shows on new connections, a missing one on none."""
    secrets = [secret_object(name, "istio-system") for name in ("a", "b")]
    documents = (
        WEB + DB,
        gateway_object(
            "one",
            server(8443, "HTTPS", "a.example.com", ", tls: {mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_3}"),
            server(8443, "HTTPS", "c.example.com", ", tls: {mode: SIMPLE, credentialName: missing}").replace("p8443", "p2"),
            server(8444, "TLS", "b.example.com", ", tls: {mode: SIMPLE, credentialName: b}"),
        ),
        routes("a", "'*.example.com'", http("web")),
        routes("b", "b.example.com", f"tcp: [{{match: [{{port: 8444}}], {to('db', 3306)}}}]"),
    )
    world = gateway.world(*documents)
    world.put_all(secrets)
    gateway.hold(world.snapshot(GATEWAY))
    web, db, missing = gateway.ask(
        Dial(port=8443, host="a.example.com", tls=Tls(name="a.example.com", alpn=("http/1.1",))),
        Dial(port=8444, protocol="tcp", tls=Tls(name="b.example.com")),
        Dial(port=8443, host="c.example.com", tls=Tls(name="c.example.com")),
    )
    assert (web.subject, web.alpn, places([web])) == ("a", "http/1.1", ["10.0.1.1"])
    assert (db.subject, db.body.split()[0]) == ("b", "10.0.3.1:9000")
    assert missing.error


def test_who_the_client_is_when_others_stand_before(gateway: LiveEnvoy) -> None:
    """With trusted proxies the address that they saw counts; with the PROXY protocol the one in its first line."""
    documents = (WEB, gateway_object("one", server(8081, "HTTP", "'*'")), routes("a", "'*'", http("web")))
    forwarded = Dial(port=8081, headers=(("x-forwarded-for", "192.0.2.7, 192.0.2.8"),))

    def told(topology: str, call: Dial) -> str:
        gateway.obey(*documents, mesh=f"defaultConfig: {{gatewayTopology: {topology}}}", proxy=GATEWAY)
        seen = gateway.call(call)[0]
        assert seen.log is not None, seen
        return seen.log.remote

    assert told("{numTrustedProxies: 2}", forwarded) == "192.0.2.7"
    assert told("{}", forwarded) == "127.0.0.1"
    line = Dial(port=8081, before="PROXY TCP4 192.0.2.9 10.0.9.8 4711 8081\r\n")
    heard = gateway_with_proxy_protocol(gateway, documents, line)
    assert heard.json()["headers"]["x-forwarded-for"] == "192.0.2.9"


def gateway_with_proxy_protocol(gateway: LiveEnvoy, documents: tuple[str, ...], call: Dial) -> Heard:
    """The answer where the PROXY protocol is expected."""
    gateway.obey(*documents, mesh="defaultConfig: {gatewayTopology: {proxyProtocol: {}}}", proxy=GATEWAY)
    return gateway.ask(call)[0]


def test_a_websocket_goes_through(gateway: LiveEnvoy) -> None:
    """The connection is upgraded, and bytes pass both ways."""
    gateway.obey(WEB, gateway_object("one", server(8081, "HTTP", "'*'")), routes("a", "'*'", http("web")), proxy=GATEWAY)
    upgrade = (("connection", "Upgrade"), ("upgrade", "websocket"))
    heard = gateway.ask(Dial(port=8081, headers=upgrade, data="ping"))[0]
    assert (heard.status, heard.body) == (101, "echo ping")


def test_grpc_web_becomes_grpc(gateway: LiveEnvoy) -> None:
    """On a port of that protocol the server is asked in plain gRPC."""
    call = Dial(port=8085, method="POST", headers=(("content-type", "application/grpc-web"),))
    for protocol, expected in (("GRPC-WEB", "application/grpc"), ("HTTP", "application/grpc-web")):
        gateway.obey(WEB, gateway_object("one", server(8085, protocol, "'*'")), routes("a", "'*'", http("web")), proxy=GATEWAY)
        heard = gateway.ask(call)[0]
        assert f'"content-type": "{expected}"' in heard.headers.get("grpc-message", heard.body)


INSIDE = """---
kind: ServiceEntry
apiVersion: networking.istio.io/v1
metadata: {name: inside, namespace: default}
spec:
  hosts: [inside.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{name: tcp, number: 90, protocol: TCP}]
  endpoints:
  - {address: 10.5.0.1, ports: {tcp: PORT}, labels: {version: v1, security.istio.io/tlsMode: istio}}
  - {address: 10.5.0.2, ports: {tcp: PORT}, labels: {version: v2, security.istio.io/tlsMode: istio}}
  - {address: 10.5.0.3, ports: {tcp: PORT}, labels: {version: v2}}
---
kind: DestinationRule
apiVersion: networking.istio.io/v1
metadata: {name: inside, namespace: default}
spec: {host: inside.local, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
"""


def test_mutual_tls_of_sidecars_is_passed_on_by_its_server_name(gateway: LiveEnvoy) -> None:
    """AUTO_PASSTHROUGH: the name says service, port and subset; nothing is opened, and what takes no mutual TLS is not asked."""
    port = gateway.serve(Server(kind="tcp", certificate=gateway.certificate))[0]
    servers = [
        server(number, "TLS", f"'{hosts}'", ", tls: {mode: AUTO_PASSTHROUGH}") for number, hosts in ((15443, "*.local"), (15444, "*.org"))
    ]
    gateway.obey(INSIDE.replace("PORT", str(port)), gateway_object("one", *servers), proxy=GATEWAY)

    def dial(name: str, alpn: str = "istio", at: int = 15443) -> Dial:
        return Dial(port=at, protocol="tcp", tls=Tls(name=name, alpn=(alpn,)))

    names = [f"outbound_.90_.{subset}_.inside.local" for subset in ("v1", "v2", "v2", "v2", "v3")]
    *passed, unknown = gateway.ask(*(dial(name) for name in names))
    assert [one.body.partition(":")[0] for one in passed] == ["10.5.0.1", "10.5.0.2", "10.5.0.2", "10.5.0.2"]
    refused = gateway.ask(dial(names[0], alpn="h2"), dial(names[0], at=15444), dial("inside.local"))
    assert all(one.error for one in (unknown, *refused))


CLIENT_OF_HTTP3 = """---
kind: EnvoyFilter
apiVersion: networking.istio.io/v1alpha3
metadata: {name: client, namespace: istio-system}
spec:
  configPatches:
  - applyTo: CLUSTER
    match: {context: GATEWAY}
    patch:
      operation: ADD
      value:
        name: http3
        type: STATIC
        connect_timeout: 5s
        metadata: {filter_metadata: {lateen: {alpn: ""}}}  # no names of HTTP over TCP
        load_assignment:
          cluster_name: http3
          endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 8443, protocol: UDP}}}}]}]
        transport_socket:
          name: envoy.transport_sockets.quic
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport
            upstream_tls_context:
              sni: a.example.com
              common_tls_context: {validation_context: {trusted_ca: {inline_bytes: ROOT}}}
        typed_extension_protocol_options:
          envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
            "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
            explicit_http_config: {http3_protocol_options: {}}
  - applyTo: HTTP_ROUTE
    match: {context: GATEWAY, routeConfiguration: {portNumber: 8081}}
    patch: {operation: MERGE, value: {route: {cluster: http3}}}
"""


def test_http3_is_served_beside_https(gateway: LiveEnvoy) -> None:
    """Where it is switched on HTTPS says so, and the same is there over UDP, but to nobody without a certificate where one is asked for."""
    secret = secret_object("a.example.com", "istio-system")
    plain = Dial(port=8081, host="a.example.com")
    secure = Dial(port=8443, host="a.example.com", tls=Tls(name="a.example.com", alpn=("http/1.1",)))

    def asked(mode: str, *, quic: bool) -> tuple[list[str], str | None]:
        """Where a request over UDP and one over TCP ends, and what the second is told."""
        servers = (
            server(8443, "HTTPS", "a.example.com", f", tls: {{mode: {mode}, credentialName: a.example.com}}"),
            server(8081, "HTTP", "a.example.com"),
        )
        client = CLIENT_OF_HTTP3.replace("ROOT", secret["data"]["ca.crt"])
        documents = (WEB, gateway_object("one", *servers), routes("a", "a.example.com", http("web")), client)
        world = gateway.world(*documents, settings=Settings(quic=quic))
        world.put(secret)
        gateway.hold(world.snapshot(GATEWAY))
        heard = gateway.ask(plain, secure)
        return places(heard), heard[1].headers.get("alt-svc")

    # In this order, as an open connection would outlive its listener.
    assert asked("SIMPLE", quic=False) == (["503", "10.0.1.1"], None)
    assert asked("MUTUAL", quic=True) == (["503", "0"], None)
    assert asked("SIMPLE", quic=True) == (["10.0.1.1", "10.0.1.1"], 'h3=":8443"; ma=86400')
    assert gateway.statistics(r"^http\.outbound_0\.0\.0\.0_8443;\.downstream_rq_http3_total$").popitem()[1] == 1


def test_a_gateway_may_get_what_its_rules_lead_to_alone(gateway: LiveEnvoy) -> None:
    """Where that is switched on: the hosts of its rules, and the services of the mesh's extensions; those act as without."""
    documents = (WEB + SHOP + DB, gateway_object("one", server(8081, "HTTP", "'*'")), routes("a", "'*'", http("web")))
    mesh = (
        "extensionProviders: [{name: judge, envoyExtAuthzHttp: {service: default/db.default.svc.cluster.local, port: 3306}},"
        " {name: spans, skywalking: {service: elsewhere.example.com, port: 1}}]"
    )
    found = {}
    for reached_only in (False, True):
        world = gateway.world(*documents, mesh=mesh, settings=Settings(reached_only=reached_only))
        snapshot = world.snapshot(GATEWAY)
        gateway.hold(snapshot)
        assert places(gateway.ask(Dial(port=8081))) == ["10.0.1.1"]
        known = {name.split(".")[1] for name in gateway.statistics(r"^cluster\.outbound.*membership_total$")}
        found[reached_only] = {name.split("|")[3] for name in known}
        assert snapshot[ENDPOINTS].keys() <= snapshot[CLUSTER].keys()
    assert found == {False: {"web", "shop", "db"}, True: {"web", "db"}}
