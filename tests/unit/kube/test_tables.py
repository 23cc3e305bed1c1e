"""Tables for people."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind, by_plural
from lateen.kube.ages import age, human_duration
from lateen.kube.podstatus import pod_restarts, pod_status
from lateen.kube.records import Ref, store
from lateen.kube.table import column_definitions, json_path, row

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def cells(kind: str, obj: dict[str, Any], include: str = "None") -> list[Any]:
    info = by_kind(kind)
    assert info is not None
    meta = {"name": "x", "namespace": "d", "uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-02T03:03:05Z"}
    stored = store(Ref("r", "d", "x"), {"metadata": meta, **obj})
    entry: Any = row(info, info.versions[0], stored, NOW, include)
    assert len(entry["cells"]) == len(column_definitions(info))
    return list(entry["cells"])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (310, "5m10s"), (600, "10m"), (46 * 60, "46m"), (179 * 60, "179m"),
        (3 * 3600 + 300, "3h5m"), (8 * 3600, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"), (2 * 86400 + 4 * 3600, "2d4h"),
        (9 * 86400, "9d"), (729 * 86400, "729d"), (3 * 365 * 86400 + 86400, "3y1d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages_are_kubernetes(seconds: int, text: str) -> None:
    """Two units at most."""
    assert human_duration(seconds) == text


def test_an_unknown_time_is_said() -> None:
    """Rather than a wrong age."""
    assert (age("", NOW), age("nonsense", NOW), age("2026-01-02T03:04:00Z", NOW)) == ("<unknown>", "<unknown>", "5s")


def test_the_rows_of_the_kinds() -> None:
    """Each kind's cells, wide ones included."""
    service = {
        "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 32081}], "selector": {"app": "web"}}
    }
    assert cells("Service", service) == ["x", "LoadBalancer", "10.96.0.9", "<pending>", "80:32081/TCP", "60s", "app=web"]
    external = {"spec": {"type": "ExternalName", "externalName": "a.example"}}
    assert cells("Service", external) == ["x", "ExternalName", "<none>", "a.example", "<none>", "60s", "<none>"]
    assert cells("ConfigMap", {"data": {"a": "", "b": ""}, "binaryData": {"c": ""}}) == ["x", 3, "60s"]
    assert cells("Secret", {"type": "Opaque", "data": {"a": ""}}) == ["x", "Opaque", 1, "60s"]
    assert cells("Namespace", {"status": {"phase": "Active"}}) == ["x", "Active", "60s"]
    addresses = [{"addresses": [f"10.0.0.{n}"]} for n in range(5)]
    assert cells("EndpointSlice", {"addressType": "IPv4", "ports": [{"port": 80}], "endpoints": addresses}) == [
        "x", "IPv4", "80", "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...", "60s",
    ]  # fmt: skip
    template = {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j:1"}]}}
    deployment = {"spec": {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}, "template": template}, "status": {"readyReplicas": 1}}
    assert cells("Deployment", deployment) == ["x", "1/2", 0, 0, "60s", "a,b", "i:1,j:1", "app=x"]
    event = {"type": "Warning", "reason": "R", "involvedObject": {"kind": "Pod", "name": "p"}, "message": " m\n", "count": 2}
    assert cells("Event", event | {"lastTimestamp": "2026-01-02T03:04:00Z"})[:4] == ["5s", "Warning", "R", "pod/p"]
    node = {"status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]}}
    assert cells("Node", node)[:6] == ["x", "Ready", "<none>", "60s", "", "1.2.3.4"]
    assert cells("ServiceAccount", {}) == ["x", 0, "60s"]


def test_custom_kinds_print_their_json_paths() -> None:
    """Lists as JSON, what is absent as null."""
    assert cells("VirtualService", {"spec": {"hosts": ["a", "b"]}}) == ["x", None, '["a","b"]', "60s"]
    assert cells("Gateway", {}) == ["x", "60s"]


def test_json_paths() -> None:
    """The forms that printer columns use."""
    obj = {"a": {"b": [{"type": "x", "status": "1"}, {"type": "y", "status": "2"}]}}
    assert json_path(obj, ".a.b[1].status") == "2"
    assert json_path(obj, '.a.b[?(@.type=="y")].status') == "2"
    assert json_path(obj, ".a.c.d") is None
    assert json_path(obj, ".a.b[7].status") is None


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", **metadata}, "spec": {"containers": [{"name": "c"}]}, "status": status}


def test_a_pods_state_in_one_word() -> None:
    """The phase, or what keeps the pod from it."""
    assert pod_status(pod({"phase": "Running"})) == "Running"
    assert pod_status(pod({"phase": "Running"}, deletionTimestamp="x")) == "Terminating"
    waiting = {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert pod_status(pod({"phase": "Running", "containerStatuses": [waiting]})) == "CrashLoopBackOff"
    ended = {"name": "c", "state": {"terminated": {"exitCode": 2}}}
    assert pod_status(pod({"phase": "Failed", "containerStatuses": [ended]})) == "ExitCode:2"
    starting = {"name": "i", "state": {"running": {}}}
    obj = pod({"phase": "Pending", "initContainerStatuses": [starting]})
    obj["spec"]["initContainers"] = [{"name": "i"}, {"name": "j"}]
    assert pod_status(obj) == "Init:0/2"


def test_a_sidecar_counts_as_a_container() -> None:
    """An init container that stays is ready or not like any other."""
    obj = pod({"phase": "Running", "containerStatuses": [{"name": "c", "ready": True}]})
    obj["spec"]["initContainers"] = [{"name": "istio-proxy", "restartPolicy": "Always"}]
    obj["status"]["initContainerStatuses"] = [{"name": "istio-proxy", "ready": True, "started": True, "state": {"running": {}}}]
    assert cells("Pod", {k: v for k, v in obj.items() if k != "metadata"})[1:3] == ["2/2", "Running"]


def test_restarts_say_when() -> None:
    """The last one counts."""
    last = (NOW - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"name": "c", "restartCount": 3, "lastState": {"terminated": {"finishedAt": last}}}
    assert pod_restarts(pod({"containerStatuses": [status]}), NOW) == "3 (5m ago)"
    assert pod_restarts(pod({}), NOW) == "0"


def test_columns_are_those_of_a_real_server(shared_cases: Path) -> None:
    """Names, order, priority and type, for every kind that we serve."""
    compared = 0
    for path in sorted((shared_cases / "kube-api" / "tables").glob("*.json")):
        case = json.loads(path.read_text())
        body = case["response"]["body"] if "response" in case else {}
        parts = case.get("request", {}).get("path", "").split("?")[0].split("/")
        group, plural = (parts[2] if parts[1] == "apis" else "", parts[-1]) if len(parts) > 3 else ("", "")
        info = by_plural(group, plural)
        if info is None or not isinstance(body, dict) or body.get("kind") != "Table" or "-" in path.stem:
            continue
        wanted = [(c["name"], c["type"], c["format"], c["priority"]) for c in body["columnDefinitions"]]
        assert [(c["name"], c["type"], c["format"], c["priority"]) for c in column_definitions(info)] == wanted, path.stem
        compared += 1
    assert compared >= 15
