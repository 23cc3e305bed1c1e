"""What analysis says beyond Istio's own cases: our analysers, the table of codes, suppression, lines and remedies."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from lateen.analyze.codes import CODES
from lateen.analyze.objects import Objects, items_of
from lateen.analyze.run import ANALYSERS, Message, analyze
from lateen.api.decode import decode_documents

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: default, labels: {app: reviews}}
spec: {containers: [{name: web, image: web}]}
---
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  trafficPolicy:
"""
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
    - match: [{method: {exact: POST}}]
      retries: {attempts: 2, retryOn: "5xx,connect-failure"}
      route: [{destination: {host: reviews}}]
---
"""
SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec:
  egress: [{hosts: [HOSTS]}]
---
"""
POOL = "    connectionPool: {http: {idleTimeout: 60s}}\n---\n"
SERVER = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec:
  inboundConnectionPool: {http: {idleTimeout: IDLE}}
---
"""


def said(text: str, names: Iterable[str] = tuple(ANALYSERS)) -> list[Message]:
    """The messages about the objects of a text."""
    return list(analyze(Objects(items_of(decode_documents(text.encode(), "mesh.yaml"))), names))


def codes(text: str) -> set[str]:
    return {message.code for message in said(text) if message.code.startswith("LAT")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SERVICE + RULE + "    outlierDetection: {consecutive5xxErrors: 5}\n", "LAT0001"),
        (SERVICE + ROUTE, "LAT0002"),
        (SERVICE + RULE + POOL + SERVER.replace("IDLE", "30s"), "LAT0003"),
        (SERVICE + ROUTE.replace("5xx,", "") + SIDECAR.replace("HOSTS", "other/*"), "LAT0004"),
    ],
)
def test_what_istio_does_not_say(text: str, code: str) -> None:
    """Ejection that cannot be, retries that act twice, pools that outlive servers, hosts that a Sidecar hides."""
    assert codes(text) == {code}


@pytest.mark.parametrize(
    "text",
    [
        SERVICE + RULE + "    outlierDetection: {maxEjectionPercent: 100}\n",
        SERVICE + ROUTE.replace("5xx,", ""),
        SERVICE + RULE + POOL + SERVER.replace("IDLE", "90s"),
        SERVICE + ROUTE.replace("5xx,", "") + SIDECAR.replace("HOSTS", '"./*"'),
    ],
)
def test_what_is_well_is_not_told(text: str) -> None:
    """The same objects, with the remedy."""
    assert codes(text) == set()


AMBIENT = """
apiVersion: v1
kind: Namespace
metadata: {name: quiet, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: quiet, labels: {app: one}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {containers: [{name: web, image: web}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: of-all, namespace: quiet}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: of-all-too, namespace: quiet}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: of-one, namespace: quiet}
spec: {workloadSelector: {labels: {app: one}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: of-one-too, namespace: quiet}
spec: {workloadSelector: {labels: {app: one}}}
"""


def test_a_sidecar_of_what_has_none_does_nothing() -> None:
    """Each is told so; that two of them overlap harms nobody. With injection the namespace has sidecars, and they conflict."""
    names = ("of-all", "of-all-too", "of-one", "of-one-too")
    found = said(AMBIENT, ["sidecar.SelectorAnalyzer"])
    assert [(each.code, each.origin) for each in found] == [("IST0167", f"Sidecar quiet/{name}") for name in names]
    injected = AMBIENT.replace("labels: {istio", "labels: {istio-injection: enabled, istio").replace(
        "redirection: enabled", "redirection: no"
    )
    found = said(injected, ["sidecar.SelectorAnalyzer"])
    codes = ("IST0111", "IST0111", "IST0110", "IST0110")
    assert [(each.code, each.origin) for each in found] == [
        (code, f"Sidecar quiet/{name}") for code, name in zip(codes, names, strict=True)
    ]


@pytest.mark.parametrize(
    ("version", "told"),
    [("v1.4.1", True), ("v1.5.0-rc.1", False), ("1.5", False), ("v2.0.0", False), ("nightly", False), ("v1.0.0+build", True)],
)
def test_definitions_too_old_are_told(version: str, *, told: bool) -> None:
    """The bundle's version counts, without its suffix; what is no version says nothing."""
    definition = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: tlsroutes.gateway.networking.k8s.io, annotations: {{gateway.networking.k8s.io/bundle-version: "{version}"}}}}
"""
    found = said(definition, ["k8sgateway.CRDVersionAnalyzer"])
    assert [(each.code, each.line) for each in found] == ([("IST0176", 4)] if told else [])


def test_messages_say_where_and_what_to_do() -> None:
    """File, line, origin, level, remedy."""
    (message,) = [each for each in said(SERVICE + ROUTE) if each.code == "LAT0002"]
    assert (message.source, message.line, message.origin, message.level) == ("mesh.yaml", 20, "VirtualService default/reviews", "Warning")
    assert message.text == "Requests with POST are sent again after 5xx: the first one may have acted."
    assert message.remedy


def test_an_objects_own_annotation_suppresses() -> None:
    """By code, several with commas, or all."""
    for told, left in (("LAT0002", False), ("IST0001, LAT0002", False), ("*", False), ("IST0101", True)):
        marked = ROUTE.replace("namespace: default}", f'namespace: default, annotations: {{galley.istio.io/analyze-suppress: "{told}"}}}}')
        assert ("LAT0002" in codes(SERVICE + marked)) == left


def test_every_code_is_emitted_and_every_emitted_code_is_known(root: Path) -> None:
    """The table and the analysers agree; words take as many arguments as they have places."""
    folder = root / "src" / "lateen"
    sources = "".join(
        file.read_text() for file in (*(folder / "analyze").glob("*.py"), folder / "api/validate/shadowed.py") if file.name != "codes.py"
    )
    assert set(re.findall(r'"((?:IST|LAT)\d{4})"', sources)) == set(CODES)


def test_broken_objects_are_analysed_as_far_as_they_go(shared_cases: Path) -> None:
    """Every analyser over every input of Istio's, wrong ones among them: messages, never an exception."""
    for file in sorted((shared_cases / "analyze" / "inputs").glob("*.yaml")):
        said(file.read_text())
    for file in sorted((shared_cases / "validate" / "webhook").glob("*.yaml")):
        said(file.read_text())
