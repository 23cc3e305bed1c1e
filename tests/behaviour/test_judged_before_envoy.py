"""What is refused before it is sent is what a real Envoy would have refused, and nothing else."""

import asyncio
import base64
import datetime as dt
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from lateen.agent.plan import ENVOY
from lateen.compile import plan_secrets
from lateen.compile.certificates import authority_fault, pair_fault
from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.testing.envoy import AcceptingEnvoy
from lateen.testing.world import MemoryWorld
from lateen.util.pathtemplates import template_fault
from lateen.util.regexes import regex_fault

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

SIDECAR = Proxy(id="s", kind="sidecar", namespace="default", name="s", addresses=("10.0.0.1",), labels=())
GATEWAY = Proxy(id="g", kind="router", namespace="default", name="g", addresses=("10.0.0.1",), labels=(("istio", "g"),))
RULE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
"""
SERVER = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, selector: {istio: g}, ports: [{name: https, port: 443}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: web, namespace: default}
spec:
  selector: {istio: g}
  servers:
    - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: MUTUAL, credentialName: NAME}}
"""
TYPES = "type.googleapis.com/envoy.extensions"
REGEXES = (
    "a+",
    "(a",
    r"(a)\1",
    "(ab){800}(cd){800}",
    "é{2}",
    "[一-龥]+",
    r"\pL",
    r"\x{4e00}",
    "(?i)[0-9a-z_.-]{1,900}/",
    *("|".join(rf"\pL{{1,{count}}}{i}" for i in range(4)) for count in (500, 999)),
    *("|".join("[^x]{1,999}" for _ in range(count)) for count in (8, 12)),
    "((a{1,900}){1,900}){1,900}",
)


TEMPLATES = (
    "/{*}",
    "/{**}",
    "/a/{*}/b/{**}",
    "/a/{**}/b/",
    "/a-b.c_d~e!$&'()+,;:@%20=x/{*}",
    "/{*}/{*}/{*}/{*}/{*}/{*}/{*}",
    "/{**}/{*}",
    "/{**}/{**}",
    "/a b/{*}",
    "/a//{*}",
    "//{*}",
    "/{*}//",
    "/a[b]/{*}",
    "/é/{*}",
    "/a#b/{*}",
    "a/{*}",
    "/{a}/{*}",
    "/a*/{*}",
    "/{*}x",
    "/a{*}",
)


def survived(template: str) -> bool:
    """Whether an Envoy starts with this template in a rule; one that it cannot parse ends it."""
    envoys = template.replace("{**}", "**").replace("{*}", "*")
    match = {"name": "t", "typed_config": {"@type": f"{TYPES}.path.match.uri_template.v3.UriTemplateMatchConfig", "path_template": envoys}}
    rules = {"policies": {"p": {"permissions": [{"uri_template": match}], "principals": [{"any": True}]}}}
    filters = [
        {"name": "rbac", "typed_config": {"@type": f"{TYPES}.filters.http.rbac.v3.RBAC", "rules": rules}},
        {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
    ]
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "x",
        "http_filters": filters,
        "route_config": {},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 1}}
    chains = [{"filters": [{"name": "http", "typed_config": manager}]}]
    bootstrap = {"static_resources": {"listeners": [{"name": "l", "address": address, "filter_chains": chains}]}}
    command = (ENVOY, "--mode", "validate", "--disable-hot-restart", "--log-level", "off", "--config-yaml", json.dumps(bootstrap))
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def refusals(snapshots: Mapping[str, Snapshot]) -> set[str]:
    """The names of those that Envoy refuses, loaded one after another."""

    async def load_all() -> set[str]:
        with TemporaryDirectory(prefix="lateen-") as folder:
            envoy = AcceptingEnvoy(Path(folder))
            await envoy.start()
            try:
                return {name for name, snapshot in snapshots.items() if await envoy.load(snapshot)}
            finally:
                await envoy.stop()

    return asyncio.run(load_all())


def of_regex(regex: str) -> Snapshot:
    """The configuration of a client of a service with this expression in a rule, whatever validation says."""
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"hosts": ["web"], "http": [{"match": [{"uri": {"regex": regex}}], "route": [{"destination": {"host": "web"}}]}]},
    }
    world = MemoryWorld()
    world.load(RULE)
    world.put(rule)
    return world.snapshot(SIDECAR)


def certificate(key: Key) -> bytes:
    """A self-signed certificate, in PEM."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "web")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(start).not_valid_after(start + dt.timedelta(days=36500))
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()).public_bytes(Encoding.PEM)


def private(key: Key, encryption: KeySerializationEncryption = NoEncryption(), form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:  # noqa: B008
    """The key in PEM."""
    return key.private_bytes(Encoding.PEM, form, encryption)


def pairs() -> dict[str, tuple[bytes, bytes]]:
    """Chains and keys, good and bad."""
    own, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    of_rsa = rsa.generate_private_key(65537, 2048)
    whole, key, foreign = certificate(own), private(own), certificate(other)
    kinds: dict[str, Key] = {
        "rsa": of_rsa,
        "rsa 1024": rsa.generate_private_key(65537, 1024),
        "p224": ec.generate_private_key(ec.SECP224R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    bad_block = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return {
        **{name: (certificate(one), private(one)) for name, one in kinds.items()},
        "good": (whole, key),
        "older form of key": (whole, private(own, form=PrivateFormat.TraditionalOpenSSL)),
        "words before": (b"Bag Attributes\n x\n" + whole, b"# mine\n" + key),
        "words after": (whole + b"words\n", key),
        "CRLF": (whole.replace(b"\n", b"\r\n"), key),
        "no end of line": (whole.strip(), key.strip()),
        "key in the chain": (key + whole, key),
        "chain in the key": (whole, whole + key),
        "X509 CERTIFICATE": (whole.replace(b" CERT", b" X509 CERT"), key),
        "chain": (whole + foreign, key),
        "chain in the wrong order": (foreign + whole, key),
        "chain cut off": (whole + foreign[:200], key),
        "chain with a bad block": (whole + bad_block, key),
        "no PEM": (b"hello", key),
        "DER": (x509.load_pem_x509_certificate(whole).public_bytes(Encoding.DER), key),
        "no key": (whole, b"hello"),
        "another key": (whole, private(other)),
        "a key of another kind": (whole, private(of_rsa)),
        "an encrypted key": (whole, private(own, BestAvailableEncryption(b"x"))),
    }


def authorities() -> dict[str, tuple[bytes, bytes]]:
    """What certificates of clients are held against, good and bad."""
    one, two = (certificate(ec.generate_private_key(ec.SECP256R1())) for _ in range(2))
    return {"one": (one, b""), "twice": (one + one, b""), "two": (one + two, b""), "words": (b"words", b""), "cut": (one + two[:200], b"")}


def of_gateway(name: str, pair: tuple[bytes, bytes], authority: tuple[bytes, bytes]) -> Snapshot:
    """The configuration of a gateway with a server that asks for certificates."""
    world = MemoryWorld()
    world.load(SERVER.replace("NAME", name))
    for own, names, values in ((name, ("tls.crt", "tls.key"), pair), (f"{name}-cacert", ("ca.crt", "ca.crl"), authority)):
        data = {key: base64.b64encode(value).decode() for key, value in zip(names, values, strict=True) if value}
        world.put({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": own, "namespace": "default"}, "data": data})
    return world.snapshot(GATEWAY)


def test_path_templates_are_judged_as_envoy_survives_them() -> None:
    """Each that is let through starts an Envoy; each that is not would have ended one, or means something else to Envoy."""
    ends = [one for one in TEMPLATES if not survived(one)]
    assert [*ends, "/{a}/{*}", "/a*/{*}", "/{*}x", "/a{*}"] == [one for one in TEMPLATES if template_fault(one)]


def test_regular_expressions_are_judged_as_envoy_judges_them() -> None:
    """By its way of reading and by the size of the program."""
    assert refusals({regex: of_regex(regex) for regex in REGEXES}) == {regex for regex in REGEXES if regex_fault(regex)}


def test_certificates_are_judged_as_envoy_judges_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains, keys and authorities; here all are sent, whatever is wrong with them."""
    monkeypatch.setattr(plan_secrets, "pair_fault", lambda _chain, _key: "")
    monkeypatch.setattr(plan_secrets, "authority_fault", lambda _roots, _revoked: "")
    chains, roots = pairs(), authorities()
    sent = {name: of_gateway(f"pair{i}", pair, roots["one"]) for i, (name, pair) in enumerate(chains.items())}
    sent |= {f"of {name}": of_gateway(f"root{i}", chains["good"], one) for i, (name, one) in enumerate(roots.items())}
    expected = {name for name, pair in chains.items() if pair_fault(*pair)}
    assert refusals(sent) == expected | {f"of {name}" for name, one in roots.items() if authority_fault(*one)}
