"""What an agent that is a process of its own reads from its environment and from the files beside it."""

from pathlib import Path

import pytest

from lateen.agent.environment import read_environment

POD = {"POD_NAME": "web-1", "POD_NAMESPACE": "shop", "SERVICE_ACCOUNT": "clerk", "INSTANCE_IP": "10.0.0.9"}


def test_a_pod_is_read_from_its_sidecars_environment(tmp_path: Path) -> None:
    """Names, ports, labels of the downward API, life of certificates; files at Istio's places."""
    labels = tmp_path / "etc/istio/pod/labels"
    labels.parent.mkdir(parents=True)
    labels.write_text('app="web"\nnote="say \\"hi\\""\n')
    env = {
        **POD,
        "PROXY_CONFIG": "{statusPort: 25020, discoveryAddress: 'istiod.example:1512'}",
        "CA_ADDR": "ca.example:15012",
        "ENVOY_STATUS_PORT": "25021",
        "SECRET_TTL": "1h",
        "ISTIO_META_NETWORK": "north",
    }
    told, problems = read_environment(env, "sidecar", tmp_path)
    assert not problems
    assert told.plan.identity.uri == "spiffe://cluster.local/ns/shop/sa/clerk"
    assert told.plan.workload.labels == {"app": "web", "note": 'say "hi"'}
    assert (told.plan.ports.agent, told.plan.ports.health, told.plan.ports.prometheus) == (25020, 25021, 15090)
    assert told.plan.certificate_ttl == 3600
    assert told.plan.proxy.proxy_metadata["ISTIO_META_NETWORK"] == "north"
    assert (told.authority, told.server_name) == ("ca.example:15012", "istiod.example")
    assert told.token == tmp_path / "var/run/secrets/tokens/istio-token"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"POD_NAME": ""}, "lacks POD_NAME"),
        ({"CA_ADDR": "istiod"}, "CA_ADDR"),
        ({"CA_ADDR": "istiod:99999"}, "expected HOST:PORT"),
        ({"ENVOY_STATUS_PORT": "high"}, "expected numbers"),
        ({"SERVICE_ACCOUNT": "a/b"}, "service account"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    """A sentence that names the variable."""
    with pytest.raises(ValueError, match=sentence):
        _ = read_environment({**POD, **changes}, "sidecar", tmp_path)[0].plan.identity
