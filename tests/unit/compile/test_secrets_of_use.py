"""Secrets that Envoy could not use are not sent, and told on themselves and on what names them."""

import base64
from collections.abc import Mapping

from cryptography import x509

from lateen.api.meta import Key
from lateen.model.scope import Proxy
from lateen.testing.certificates import self_signed
from lateen.testing.world import MemoryWorld
from lateen.xds.resources import SECRET

GATEWAY = Proxy(id="g", kind="router", namespace="default", name="g", addresses=("10.0.0.1",), labels=(("istio", "g"),))
OBJECTS = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: in, namespace: default}
spec:
  selector: {istio: g}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: web}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: other, namespace: default}
spec:
  selector: {istio: g}
  servers:
    - {port: {number: 8443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: good}}
---
apiVersion: v1
kind: Service
metadata: {name: backend, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: out, namespace: default}
spec: {host: backend, trafficPolicy: {tls: {mode: MUTUAL, credentialName: web}}}
"""
CHAIN, KEY = self_signed(x509.DNSName("web"))[1:]
FOREIGN = self_signed(x509.DNSName("web"))[2]


def world(web: Mapping[str, bytes]) -> MemoryWorld:
    """A world with the Secrets `good` and `web`."""
    memory = MemoryWorld()
    memory.load(OBJECTS)
    for name, data in {"good": {"tls.crt": CHAIN, "tls.key": KEY}, "web": web}.items():
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        memory.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": encoded})
    return memory


def outcome(web: Mapping[str, bytes]) -> tuple[set[str], dict[str, list[str]]]:
    """The secrets that the gateway is sent, and the messages by object and severity."""
    memory = world(web)
    sent = set(memory.snapshot(GATEWAY).get(SECRET, {}))
    found: dict[str, list[str]] = {}
    for problems in memory.graph.problems().values():
        for one in problems:
            if one.code == "gateway-secret":
                found.setdefault(f"{one.kind} {one.name} {one.severity}", []).append(one.message)
    return sent, found


def test_a_good_secret_is_sent() -> None:
    """With its authority; nothing is told."""
    sent, found = outcome({"tls.crt": CHAIN, "tls.key": KEY, "ca.crt": CHAIN})
    assert (sent, found) == ({"kubernetes://good", "kubernetes://web", "kubernetes://web-cacert"}, {})


def test_a_key_of_another_certificate() -> None:
    """It alone is left out; the Secret, the Gateway and the rule that name it are told, the other Gateway is not, and no key is shown."""
    sent, found = outcome({"tls.crt": CHAIN, "tls.key": FOREIGN, "ca.crt": CHAIN})
    assert sent == {"kubernetes://good", "kubernetes://web-cacert"}
    assert set(found) == {"Secret web error", "Gateway in error", "DestinationRule out error"}
    assert all("Secret default/web holds a private key that does not belong" in text for texts in found.values() for text in texts)
    assert FOREIGN.decode().splitlines()[1] not in str(found)


def test_an_authority_that_cannot_be_read() -> None:
    """What only the rule asks for is told there only."""
    sent, found = outcome({"tls.crt": CHAIN, "tls.key": KEY, "ca.crt": b"words"})
    assert sent == {"kubernetes://good", "kubernetes://web"}
    assert set(found) == {"Secret web error", "DestinationRule out error"}
    _, found = outcome({"tls.crt": CHAIN, "tls.key": KEY, "ca.crt": CHAIN, "ca.crl": b"words"})
    assert "list of revoked certificates" in found["DestinationRule out error"][0]


def test_what_is_missing_is_a_warning() -> None:
    """It may come later."""
    _, found = outcome({"tls.crt": CHAIN})
    assert set(found) >= {"Secret web warning", "Gateway in warning", "DestinationRule out warning"}


def test_the_last_good_form_is_sent_and_the_problem_told() -> None:
    """With a form to fall back on the gateway goes on; Secret, Gateway and rule say what is wrong all the same."""
    good, bad = world({"tls.crt": CHAIN, "tls.key": KEY}), world({"tls.crt": CHAIN, "tls.key": FOREIGN})
    key, wanted = Key("Secret", "default", "web"), good.snapshot(GATEWAY)[SECRET]["kubernetes://web"]
    form = good.world.base.secrets.get(key)
    assert form is not None
    bad.world.base.good_secrets.set(key, form)
    bad.graph.commit()
    sent = bad.snapshot(GATEWAY).get(SECRET, {})
    assert sent["kubernetes://web"].entry == wanted.entry
    told = {(problem.kind, problem.name): problem.message for problems in bad.graph.problems().values() for problem in problems}
    assert {name for name in told if name[1] != "good"} >= {("Secret", "web"), ("Gateway", "in"), ("DestinationRule", "out")}
    assert told["Gateway", "in"].endswith("; its last good form goes on being used")
