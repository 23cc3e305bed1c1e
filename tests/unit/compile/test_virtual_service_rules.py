"""What the rules of a VirtualService become at one place."""

from lateen.api.decode import decode_documents
from lateen.api.meta import Key
from lateen.api.virtualservice import VirtualService
from lateen.compile.matches import Place
from lateen.compile.rules import Lookup, plan_rules
from lateen.compile.virtualservices import compile_virtual_service
from lateen.model.route import VirtualRoutes
from lateen.model.routeplan import HashPlan, RoutePlan
from lateen.model.service import Port, Protocol, Resolution, Service, ServiceKey

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews, namespace: default}\n"


def routes_of(spec: str, *delegates: str) -> VirtualRoutes:
    """The compiled VirtualService of a spec; delegates are whole documents."""
    objects = [decoded.obj for text in (HEAD + spec, *delegates) for decoded in decode_documents(text.encode(), "test.yaml")]
    services = [obj for obj in objects if isinstance(obj, VirtualService)]
    found = {(one.metadata.namespace, one.metadata.name): one for one in services}
    compiled, problems = compile_virtual_service(
        services[0], domain="cluster.local", default_export=("*",), find=lambda key: found.get((key.namespace, key.name))
    )
    assert compiled is not None
    assert not problems
    return compiled


def service(name: str, *ports: int) -> Service:
    """A service of namespace default with HTTP ports."""
    key = ServiceKey("default", f"{name}.default.svc.cluster.local")
    made = tuple(Port(number=port, name=f"http-{port}", protocol=Protocol.HTTP, target_port=port) for port in ports)
    return Service(
        key=key,
        name=name,
        origin=Key("Service", "default", name),
        generation=1,
        creation="",
        registry="Kubernetes",
        resolution=Resolution.STATIC,
        ports=made,
    )


def plan(spec: str, place: Place | None = None, *known: Service, hashes: tuple[HashPlan, ...] = ()) -> tuple[RoutePlan, ...]:
    """The routes of a spec at `place` (port 9080 of the mesh)."""
    by_host = {one.hostname: one for one in known}
    lookup = Lookup(service=by_host.get, hashes=lambda _host, _subset, _port: hashes)
    return plan_rules(routes_of(spec), place or Place(port=9080), lookup)


def clusters(route: RoutePlan) -> list[tuple[str, int]]:
    return [(target.cluster, target.weight) for target in route.targets]


def test_a_short_host_means_the_service_of_the_rules_own_namespace() -> None:
    """`reviews` in namespace default is reviews.default.svc.cluster.local."""
    (route,) = plan("spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}}]}]}")
    assert clusters(route) == [("outbound|9080|v1|reviews.default.svc.cluster.local", 0)]


def test_a_destination_without_port_takes_the_only_port_of_its_service() -> None:
    """A service with one port is meant with that port, whatever port the listener has."""
    spec = "spec: {hosts: [reviews], http: [{route: [{destination: {host: ratings}}]}]}"
    (one,) = plan(spec, Place(port=80), service("ratings", 9080))
    (two,) = plan(spec, Place(port=80), service("ratings", 9080, 9090))
    assert clusters(one)[0][0] == "outbound|9080||ratings.default.svc.cluster.local"
    assert clusters(two)[0][0] == "outbound|80||ratings.default.svc.cluster.local"


def test_weights_are_kept_and_zero_drops_out() -> None:
    """90/10/0: two clusters remain."""
    spec = (
        "spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews, subset: v1}, weight: 90}, "
        "{destination: {host: reviews, subset: v2}, weight: 10}, {destination: {host: reviews, subset: v3}, weight: 0}]}]}"
    )
    (route,) = plan(spec)
    assert [weight for _, weight in clusters(route)] == [90, 10]


def test_what_follows_a_rule_for_every_request_is_left_out() -> None:
    """Envoy would never reach it."""
    spec = (
        "spec: {hosts: [reviews], http: [{route: [{destination: {host: a}}]}, "
        "{match: [{uri: {prefix: /x}}], route: [{destination: {host: b}}]}]}"
    )
    assert len(plan(spec)) == 1


def test_each_match_block_is_a_route_of_its_own() -> None:
    """Blocks are alternatives."""
    spec = "spec: {hosts: [reviews], http: [{match: [{uri: {exact: /a}}, {uri: {prefix: /b}}], route: [{destination: {host: reviews}}]}]}"
    assert [(r.match.path.kind, r.match.path.value) for r in plan(spec)] == [("exact", "/a"), ("prefix", "/b")]


def test_blocks_for_other_ports_labels_or_namespaces_disappear() -> None:
    """Port, source labels and source namespace are decided when compiling."""
    spec = (
        "spec: {hosts: [reviews], http: [{match: [{port: 80}, {sourceLabels: {app: x}}, {sourceNamespace: other}, {uri: {exact: /kept}}], "
        "route: [{destination: {host: reviews}}]}]}"
    )
    assert [route.match.path.value for route in plan(spec)] == ["/kept"]
    here = Place(port=80, namespace="other", selectors=((("app", "x"),),))
    assert len(plan(spec, here)) == 1  # the first block has no further condition: it takes all


def test_no_timeout_is_zero_and_the_default_retry_is_istios() -> None:
    """0 s means none; two retries, not for 503."""
    (route,) = plan("spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}")
    assert route.timeout == 0
    assert route.retry is not None
    assert (route.retry.attempts, route.retry.status_codes) == (2, ())


def test_zero_attempts_switch_retries_off() -> None:
    """attempts: 0 is not "unset"."""
    (route,) = plan("spec: {hosts: [reviews], http: [{retries: {attempts: 0}, route: [{destination: {host: reviews}}]}]}")
    assert route.retry is None


def test_numbers_in_retry_on_are_status_codes() -> None:
    """And Envoy must be told to look at them."""
    retries = "retries: {attempts: 3, retryOn: '5xx,418', perTryTimeout: 2s}"
    spec = f"spec: {{hosts: [reviews], http: [{{{retries}, route: [{{destination: {{host: reviews}}}}]}}]}}"
    retry = plan(spec)[0].retry
    assert retry is not None
    assert (retry.retry_on, retry.status_codes, retry.per_try_timeout) == ("5xx,retriable-status-codes", (418,), 2_000_000_000)


def test_consistent_hashing_may_meet_the_same_host_again() -> None:
    """The endpoint is given by the hash, so "not on a host that was tried" would leave none."""
    hashes = (HashPlan(kind="header", name="x-user"),)
    (route,) = plan("spec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}", hashes=hashes)
    assert route.hashes == hashes
    assert route.retry is not None
    assert route.retry.other_hosts is False


def test_a_fault_counts_in_millionths() -> None:
    """0.0001 % is one request in a million."""
    spec = (
        "spec: {hosts: [reviews], http: [{fault: {delay: {percentage: {value: 0.0001}, fixedDelay: 7s}, "
        "abort: {percentage: {value: 100}, httpStatus: 500}}, route: [{destination: {host: reviews}}]}]}"
    )
    fault = plan(spec)[0].fault
    assert fault is not None
    assert (fault.delay, fault.delay_share, fault.abort_status, fault.abort_share) == (7_000_000_000, 1, 500, 1_000_000)


def test_the_authority_header_replaces_the_host() -> None:
    """`:authority` in set becomes a host rewrite; a rewrite's authority wins over it."""
    spec = (
        "spec: {hosts: [reviews], http: [{headers: {request: {set: {':authority': a, x-b: b}}}, route: [{destination: {host: reviews}}]}]}"
    )
    (route,) = plan(spec)
    assert (route.authority, route.headers.request) == ("a", (("x-b", "b", True),))
    (route,) = plan(spec.replace("headers: {", "rewrite: {authority: c}, headers: {", 1))
    assert route.authority == "c"


def test_a_redirect_to_the_standard_port_names_none() -> None:
    """Port 80 of http and 443 of https are left out of the Location header."""
    spec = "spec: {hosts: [reviews], http: [{redirect: {uri: /x, port: 80}}, {redirect: {uri: /y}}]}"
    redirect = plan(spec)[0].redirect
    assert redirect is not None
    assert (redirect.port, redirect.code, redirect.path) == (0, 301, "/x")


def test_the_delegate_wins_and_the_root_fills_what_it_leaves_out() -> None:
    """Root: timeout and retries off; delegate: its own timeout. Names are joined, matches combined."""
    delegate = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: team, namespace: other}\n"
        "spec: {http: [{name: leaf, timeout: 1s, match: [{uri: {prefix: /a/b}}, {uri: {prefix: /z}}], "
        "route: [{destination: {host: reviews}}]}]}"
    )
    root = (
        "spec: {hosts: [reviews], http: [{name: root, timeout: 5s, retries: {attempts: 0}, match: [{uri: {prefix: /a}}], "
        "delegate: {name: team, namespace: other}}]}"
    )
    (rule,) = routes_of(root, delegate).http
    assert (rule.name, rule.timeout, rule.retries.attempts if rule.retries else None) == ("root-leaf", "1s", 0)
    assert [match.uri.prefix for match in rule.match if match.uri is not None] == ["/a/b"]  # /z cannot lie under /a
    assert rule.route[0].destination is not None
    assert rule.route[0].destination.host == "reviews.other.svc.cluster.local"


def test_a_missing_delegate_leaves_only_its_rule_out() -> None:
    """The rest of the root stays, with a problem that says what to do."""
    text = HEAD + "spec: {hosts: [reviews], http: [{delegate: {name: gone}}, {route: [{destination: {host: reviews}}]}]}"
    obj = decode_documents(text.encode(), "test.yaml")[0].obj
    assert isinstance(obj, VirtualService)
    compiled, (problem,) = compile_virtual_service(obj, domain="cluster.local", default_export=("*",), find=lambda _key: None)
    assert compiled is not None
    assert len(compiled.http) == 1
    assert problem.path == "spec.http[0].delegate"
    assert "create it" in problem.message
