"""Which services a client sees, and which of several with one name it means."""

from msgspec.structs import replace

from lateen.api.decode import decode_documents
from lateen.api.meta import Key
from lateen.api.sidecar import Sidecar
from lateen.compile.sidecars import choose_sidecar, compile_sidecar, head_of_sidecar, imports_routes, imports_service
from lateen.compile.visibility import all_services, exported_services, imported_services
from lateen.model.service import Port, Protocol, Resolution, Service, ServiceKey
from lateen.model.sidecar import SidecarPlan


def service(
    name: str, namespace: str = "shop", *, host: str = "", created: str = "2026-01-01", export: str = "*", port: int = 80
) -> Service:
    """A service with one HTTP port."""
    hostname = host or f"{name}.{namespace}.svc.cluster.local"
    return Service(
        key=ServiceKey(namespace, hostname),
        name=name,
        origin=Key("Service", namespace, name),
        generation=1,
        creation=created,
        registry="Kubernetes",
        resolution=Resolution.STATIC,
        ports=(Port(number=port, name="http", protocol=Protocol.HTTP, target_port=port),),
        export_to=(export,),
    )


def sidecar(spec: str, name: str = "s", namespace: str = "shop", created: str = "2026-01-01T00:00:00Z") -> Sidecar:
    """A Sidecar of a spec."""
    meta = f"{{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}"
    text = f"apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {meta}\nspec: {spec}\n"
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, Sidecar)
    return obj


def plan(*hosts: str) -> SidecarPlan:
    return compile_sidecar(sidecar(f"{{egress: [{{hosts: [{', '.join(repr(host) for host in hosts)}]}}]}}"), domain="cluster.local")


def seen(hosts: tuple[str, ...], *services: Service, client: str = "shop") -> set[str]:
    """Names of the services that a Sidecar with these egress hosts lists for clients of a namespace."""
    listed = imported_services(services, plan(*hosts), (), client).listed
    return {one.name for one in services if one.key in listed.values()}


def test_the_own_namespaces_service_is_meant_before_an_older_one() -> None:
    """And among others' the oldest."""
    mine = service("a", "shop", host="x.com", created="2026-03-01")
    old, older = service("b", "two", host="x.com", created="2026-02-01"), service("c", "one", host="x.com", created="2026-01-01")
    everything = [mine, old, older]
    assert all_services(exported_services(everything, "shop")).known["x.com"] == mine.key
    assert all_services(exported_services(everything, "third")).known["x.com"] == older.key


def test_a_service_that_is_not_exported_does_not_hide_one_that_is() -> None:
    """`exportTo` counts before the choice."""
    hidden, shown = service("a", "one", host="x.com", created="2020-01-01", export="one"), service("b", "two", host="x.com")
    assert all_services(exported_services([hidden, shown], "shop")).known["x.com"] == shown.key
    assert all_services(exported_services([hidden, shown], "one")).known["x.com"] == hidden.key


def test_egress_hosts_name_namespace_and_host() -> None:
    """`.` is the client's namespace, `*` any, `~` none; hosts may be wildcards."""
    near, far = service("near"), service("far", "other")
    assert seen(("*/*",), near, far) == {"near", "far"}
    assert seen(("./*",), near, far) == {"near"}
    assert seen(("other/*",), near, far) == {"far"}
    assert seen(("~/*",), near, far) == set()
    assert seen(("*/*.other.svc.cluster.local",), near, far) == {"far"}
    assert seen(("*/near.shop.svc.cluster.local",), near, far) == {"near"}


def test_dot_is_the_clients_namespace_even_in_a_shared_sidecar() -> None:
    """A Sidecar of the root namespace counts for workloads of all namespaces."""
    near, far = service("near"), service("far", "other")
    assert seen(("./*",), near, far, client="other") == {"far"}


def test_an_entry_can_take_out_what_another_lets_in() -> None:
    """`~namespace/host`."""
    assert seen(("*/*", "~other/*"), service("near"), service("far", "other")) == {"near"}


def test_a_listener_with_a_port_imports_services_with_that_port() -> None:
    """What listens elsewhere is not behind it."""
    spec = "{egress: [{port: {number: 9080, protocol: HTTP, name: x}, hosts: ['*/*']}]}"
    imports = compile_sidecar(sidecar(spec), domain="cluster.local").egress[0]
    assert not imports_service(imports, service("a"), "shop")
    assert imports_service(imports, service("b", port=9080), "shop")


def test_a_sidecar_without_egress_sees_all() -> None:
    """Only what it says counts."""
    (imports,) = compile_sidecar(sidecar("{}"), domain="cluster.local").egress
    assert imports_service(imports, service("far", "other"), "shop")


def test_what_rules_lead_to_has_clusters_but_no_routes_of_its_own() -> None:
    """A destination need not be imported by name."""
    near, far = service("near"), service("far", "other")
    found = imported_services((near, far), plan("./*"), (far.hostname,), "shop")
    assert (set(found.listed), set(found.known)) == ({near.hostname}, {near.hostname, far.hostname})


def test_virtual_services_are_imported_when_hosts_overlap() -> None:
    """In either direction: a rule for `*.x.com` speaks of an imported `a.x.com`."""
    (imports,) = plan("shop/a.x.com").egress
    assert imports_routes(imports, "shop", ("*.x.com",), "shop")
    assert not imports_routes(imports, "shop", ("b.x.com",), "shop")
    assert not imports_routes(imports, "other", ("a.x.com",), "shop")


def test_the_narrowest_sidecar_counts_and_then_the_oldest() -> None:
    """Selecting, of the namespace, of the root namespace; one there with a selector counts for nobody."""
    selecting = head_of_sidecar(sidecar("{workloadSelector: {labels: {app: a}}}", "selecting"))
    young = head_of_sidecar(sidecar("{}", "young", created="2026-02-01T00:00:00Z"))
    old = head_of_sidecar(sidecar("{}", "old"))
    root = head_of_sidecar(sidecar("{}", "root", "istio-system"))
    picky = head_of_sidecar(sidecar("{workloadSelector: {labels: {app: a}}}", "picky", "istio-system"))

    def chosen(labels: dict[str, str], *own: object) -> str:
        head = choose_sidecar([one for one in (selecting, young, old) if one in own], [picky, root], labels)
        return head.key.name if head is not None else ""

    assert chosen({"app": "a"}, selecting, young, old) == "selecting"
    assert chosen({"app": "b"}, selecting, young, old) == "old"
    assert chosen({"app": "a"}) == "root"


def test_an_alias_of_itself_ends() -> None:
    """ExternalName Services may name each other."""
    loop = replace(service("loop"), external_name="loop.shop.svc.cluster.local")
    found = all_services([loop])
    assert found.known == {}
    assert found.target("loop.shop.svc.cluster.local") == "loop.shop.svc.cluster.local"
