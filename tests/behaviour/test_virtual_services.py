"""VirtualServices field by field: what each matches and does, seen by callers in the mesh.

Most rules answer themselves with their own name, so that one configuration and one list of requests show them all.
"""

import sys

import pytest

from lateen.testing.mesh import Ask, Mesh, Reply

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

HTTPBIN = "http://httpbin:8000"


def answering(name: str, match: str) -> str:
    """A rule that answers its own name."""
    return f'    - match: {match}\n      directResponse: {{status: 200, body: {{string: "{name}"}}}}\n'


MATCHED = (
    ("exact", "[{uri: {exact: /exact}}]", Ask("/exact"), Ask("/exact/more")),
    ("prefix", "[{uri: {prefix: /pre}}]", Ask("/prefixed"), Ask("/Pre")),
    ("regex", '[{uri: {regex: "/r[0-9]+"}}]', Ask("/r12"), Ask("/r12x")),
    ("any case", "[{uri: {prefix: /Case}, ignoreUriCase: true}]", Ask("/cASE/x"), Ask("/cas")),
    ("method", "[{uri: {prefix: /method}, method: {exact: PUT}}]", Ask("/method", "PUT"), Ask("/method", "POST")),
    (
        "authority",
        "[{authority: {prefix: httpbin.default}, uri: {prefix: /host}}]",
        Ask("/host", headers=("Host:httpbin.default:8000",)),
        Ask("/host"),
    ),
    ("scheme", "[{uri: {prefix: /scheme}, scheme: {exact: http}}]", Ask("/scheme"), Ask("/schem")),
    ("header", "[{headers: {x-a: {exact: v}}}]", Ask("/h", headers=("x-a:v",)), Ask("/h", headers=("x-a:V",))),
    ("header prefix", "[{headers: {x-b: {prefix: v}}}]", Ask("/h", headers=("x-b:vw",)), Ask("/h", headers=("x-b:wv",))),
    ("header regex", '[{headers: {x-c: {regex: "v+"}}}]', Ask("/h", headers=("x-c:vvv",)), Ask("/h", headers=("x-c:vvw",))),
    ("header there", "[{headers: {x-d: {}}}]", Ask("/h", headers=("x-d:any",)), Ask("/h")),
    (
        "header not",
        "[{uri: {prefix: /without}, withoutHeaders: {x-e: {exact: v}}}]",
        Ask("/without", headers=("x-e:w",)),
        Ask("/without", headers=("x-e:v",)),
    ),
    ("header not there", "[{uri: {prefix: /lack}, withoutHeaders: {x-f: {}}}]", Ask("/lack"), Ask("/lack", headers=("x-f:w",))),
    ("query", "[{queryParams: {a: {exact: v}}}]", Ask("/q?a=v"), Ask("/q?a=w")),
    ("query prefix", "[{queryParams: {b: {prefix: v}}}]", Ask("/q?b=vw"), Ask("/q?b=wv")),
    ("query regex", '[{queryParams: {c: {regex: "v+"}}}]', Ask("/q?c=vvv"), Ask("/q?c=vvw")),
    ("query there", "[{queryParams: {d: {}}}]", Ask("/q?d=any"), Ask("/q?e=any")),
    ("or", "[{uri: {exact: /first}}, {uri: {exact: /second}}]", Ask("/second"), Ask("/third")),
    ("and", "[{uri: {exact: /and}, headers: {x-g: {exact: v}}}]", Ask("/and", headers=("x-g:v",)), Ask("/and")),
    ("port", "[{uri: {exact: /port}, port: 8000}, {uri: {exact: /other-port}, port: 9000}]", Ask("/port"), Ask("/other-port")),
    (
        "namespace",
        "[{uri: {exact: /ns}, sourceNamespace: default}, {uri: {exact: /other-ns}, sourceNamespace: plain}]",
        Ask("/ns"),
        Ask("/other-ns"),
    ),
    (
        "gateways",
        "[{uri: {exact: /mesh}, gateways: [mesh]}, {uri: {exact: /edge}, gateways: [bookinfo-gateway]}]",
        Ask("/mesh"),
        Ask("/edge"),
    ),
    ("labels", "[{uri: {prefix: /labels}, sourceLabels: {app: curl}}]", Ask("/labels"), Ask("/label")),
)  # name, match, a request that it takes, one that it does not take
MATCHES = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: httpbin}}
spec:
  hosts: [httpbin]
  gateways: [mesh, bookinfo-gateway]
  http:
{"".join(answering(name, match) for name, match, _, _ in MATCHED)}
    - directResponse: {{status: 404, body: {{string: none}}}}
    - match: [{{uri: {{prefix: /after}}}}]
      directResponse: {{status: 200, body: {{string: after}}}}
"""

ACTIONS = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
    - match: [{uri: {prefix: /moved}}]
      redirect: {prefixRewrite: /new, authority: other.example.com, scheme: https, port: 8443}
    - match: [{uri: {prefix: /here}}]
      redirect: {uri: /there, derivePort: FROM_REQUEST_PORT, redirectCode: 307}
    - match: [{uri: {exact: /whole}}]
      rewrite: {uri: /anything/exact, authority: written.example.com}
      route: [{destination: {host: httpbin, port: {number: 8000}}}]
    - match: [{uri: {prefix: /books/}}]
      rewrite: {uriRegexRewrite: {match: "^/books/([0-9]+)/(.*)$", rewrite: "/anything/\\\\2/\\\\1"}}
      route: [{destination: {host: httpbin}}]
    - match: [{uri: {prefix: /fields}}]
      name: fields
      rewrite: {uri: /response-headers}
      headers: {response: {remove: [x-hidden], set: {x-shown: "yes"}}}
      route: [{destination: {host: httpbin}, headers: {response: {add: {x-where: destination}}}, weight: 7}]
    - match: [{uri: {prefix: /sent}}]
      rewrite: {uri: /headers}
      headers: {request: {set: {x-set: route}, add: {x-add: route}, remove: [x-gone]}}
      route: [{destination: {host: httpbin}}]
    - match: [{uri: {prefix: /nobody}}]
      route: [{destination: {host: nobody.default.svc.cluster.local}}]
    - match: [{uri: {prefix: /no-subset}}]
      route: [{destination: {host: httpbin, subset: none}}]
    - match: [{uri: {prefix: /some}}]
      fault: {abort: {percentage: {value: 50}, httpStatus: 555}}
      retries: {attempts: 5, retryOn: 5xx}
      rewrite: {uri: /get}
      route: [{destination: {host: httpbin}}]
    - match: [{uri: {prefix: /rpc}}]
      fault: {abort: {percentage: {value: 100}, grpcStatus: "NOT_FOUND"}}
      route: [{destination: {host: httpbin}}]
    - match: [{uri: {prefix: /shared}}]
      corsPolicy:
        allowOrigins: [{regex: "https://[a-z]+.example.com"}]
        allowMethods: [GET, PUT]
        allowHeaders: [x-a, x-b]
        maxAge: 90s
        allowCredentials: true
      rewrite: {uri: /hello}
      route: [{destination: {host: helloworld, port: {number: 5000}}}]
    - match: [{uri: {prefix: /counted}, statPrefix: counted}]
      rewrite: {uri: /get}
      route: [{destination: {host: httpbin}, weight: 100}, {destination: {host: nobody}, weight: 0}]
    - match: [{uri: {prefix: /team}}]
      delegate: {name: team, namespace: plain}
      headers: {response: {set: {x-root: "yes"}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: team, namespace: plain}
spec:
  http:
    - match: [{uri: {prefix: /team/a}}]
      directResponse: {status: 200, body: {string: a}}
    - match: [{uri: {prefix: /elsewhere}}]
      directResponse: {status: 200, body: {string: elsewhere}}
"""

FAR = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: far, namespace: plain}
spec:
  hosts: [helloworld.default.svc.cluster.local, "*.wild.example.com"]
  exportTo: ["%s"]
  http: [{directResponse: {status: 200, body: {string: far}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [helloworld]
  gateways: [bookinfo-gateway]
  http: [{directResponse: {status: 200, body: {string: edge}}}]
"""

PORTS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: tcp-echo}
spec:
  host: tcp-echo
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp-echo}
spec:
  hosts: [tcp-echo]
  tcp:
    - match: [{port: 9000, sourceLabels: {app: curl}}]
      route: [{destination: {host: tcp-echo, subset: v2, port: {number: 9001}}}]
    - match: [{port: 9001, destinationSubnets: [0.0.0.0/0]}, {port: 9000}]
      route: [{destination: {host: tcp-echo, subset: v1}}]
"""
ECHO = """
import socket, sys
connection = socket.create_connection(("tcp-echo", int(sys.argv[1])), 5)
connection.sendall(b"x\\n")
print(connection.makefile().readline())
"""


def test_each_match_takes_what_it_says(mesh: Mesh) -> None:
    """Every kind of match takes its request and leaves the other one; what comes after a rule without a match is never asked."""
    curl, sleep = mesh.pod("curl"), mesh.pod("sleep")

    def bodies(*asks: Ask) -> list[str]:
        return [reply.body for reply in mesh.calls_from(curl, [ask._replace(url=HTTPBIN + ask.url) for ask in asks])]

    with mesh.applied(MATCHES):
        assert bodies(*(takes for *_, takes, _ in MATCHED)) == [name for name, *_ in MATCHED]
        assert bodies(*(leaves for *_, leaves in MATCHED), Ask("/after")) == ["none"] * (len(MATCHED) + 1)
        assert mesh.call_from(sleep, f"{HTTPBIN}/labels")[0].body == "none"
        assert mesh.call("/edge", host="httpbin.default.svc.cluster.local").body == "gateways"
        assert mesh.call("/mesh", host="httpbin.default.svc.cluster.local").body == "none"


def test_each_action_does_what_it_says(mesh: Mesh) -> None:
    """Redirects, rewrites, changed headers, faults, cross-origin answers, names of counters, delegates, and calls that lead nowhere."""
    curl = mesh.pod("curl")

    def get(path: str, method: str = "GET", *headers: str) -> Reply:
        return mesh.calls_from(curl, [Ask(HTTPBIN + path, method, headers)])[0]

    with mesh.applied(ACTIONS):
        moved, here, whole, books, fields, sent, nobody, none, rpc, counted, team, elsewhere, unserved = mesh.calls_from(
            curl,
            [
                Ask(f"{HTTPBIN}{path}", headers=tuple(headers))
                for path, *headers in (
                    ("/moved/on?x=1",),
                    ("/here/now",),
                    ("/whole",),
                    ("/books/7/page",),
                    ("/fields?x-hidden=1",),
                    ("/sent", "x-gone:1", "x-set:caller", "x-add:caller"),
                    ("/nobody",),
                    ("/no-subset",),
                    ("/rpc", "content-type:application/grpc"),
                    ("/counted",),
                    ("/team/a",),
                    ("/team/elsewhere",),
                    ("/unnamed",),
                )
            ],
        )
        assert (moved.status, moved.headers["location"]) == (301, "https://other.example.com:8443/new/on?x=1")
        assert (here.status, here.headers["location"]) == (307, "http://httpbin:8000/there")
        assert whole.json()["url"] == "http://written.example.com/anything/exact"
        assert str(books.json()["url"]).endswith("/anything/page/7")
        assert (fields.headers["x-shown"], fields.headers["x-where"], "x-hidden" in fields.headers) == ("yes", "destination", False)
        seen = sent.json()["headers"]
        assert (seen["X-Set"], sorted(seen["X-Add"]), "X-Gone" in seen) == (["route"], ["caller", "route"], False)
        assert (nobody.status, none.status) == (503, 503)
        assert rpc.headers["grpc-status"] == "5"
        assert counted.status == 200
        assert (team.body, team.headers["x-root"]) == ("a", "yes")
        assert (elsewhere.status, unserved.status) == (404, 404)
        said = mesh.must("exec", curl, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "stats?filter=route.counted")
        assert "upstream_rq_200: 1" in said
        some = mesh.call_from(curl, f"{HTTPBIN}/some", times=60)
        assert {reply.status for reply in some} == {200, 555}
        asked = get("/shared", "OPTIONS", "origin:https://shop.example.com", "access-control-request-method:PUT")
        assert asked.headers["access-control-allow-origin"] == "https://shop.example.com"
        assert asked.headers["access-control-allow-methods"].replace(" ", "") == "GET,PUT"
        assert (asked.headers["access-control-max-age"], asked.headers["access-control-allow-credentials"]) == ("90", "true")
        plain = get("/shared", "GET", "origin:https://shop.example.org")
        assert (plain.status, "access-control-allow-origin" in plain.headers) == (200, False)


def test_a_rule_holds_where_it_is_exported_and_bound(mesh: Mesh) -> None:
    """A rule of another namespace counts once it is exported; one for a gateway never counts in the mesh; a wildcard names many hosts."""
    curl, server = mesh.pod("curl"), mesh.pod_address("server", "plain")
    hello, wild = Ask("http://helloworld:5000/hello"), Ask(f"http://{server}/", headers=("Host:a.wild.example.com",))
    with mesh.applied(FAR % "."):
        assert "far" not in [reply.body for reply in mesh.calls_from(curl, [hello, wild])]
        assert mesh.call_from(curl, hello.url)[0].body.startswith("Hello version")
        assert mesh.call("/", host="helloworld.default.svc.cluster.local").body == "edge"
        mesh.apply(FAR % "default")
        mesh.settle()
        assert [reply.body for reply in mesh.calls_from(curl, [hello, wild])] == ["far", "far"]


def test_connections_are_routed_by_port_and_caller(mesh: Mesh) -> None:
    """Rules for TCP: by port, by the caller's labels, by destination subnet, to another port."""

    def echoed(app: str, port: int) -> str:
        return mesh.exec(mesh.pod(app), sys.executable, "-c", ECHO, str(port)).strip()

    with mesh.applied(PORTS):
        assert [echoed("curl", 9000), echoed("sleep", 9000), echoed("curl", 9001)] == ["two x", "one x", "one x"]
