"""The refusals that a real API server gave, asked again of ours."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lateen.api.kinds import by_kind
from lateen.testing.kubeapi import RunningApi, kube_api

# Recorded answers that are not given here, each with the reason.
GAPS: Mapping[str, str] = {
    "401-bad-token": "the owner's socket asks for no token; test_doors has the TLS door",
    "403-anonymous": "nobody is anonymous here: without a token the answer is 401",
    "403-anonymous-path": "nobody is anonymous here: without a token the answer is 401",
    "403-named": "nobody is anonymous here: without a token the answer is 401",
    "409-cr-post-on-object-quirk": "a quirk of custom kinds; the 405 of built-in ones is given to all",
    "410-expired-continue": "the revision of the token is not old here",
    "410-expired-rv-list-exact": "revision 1 is not old here",
    "413": "the recording left the body out; test_bodies has it",
    "422-cr-oneof-authz": "AuthorizationPolicy is not served yet",
    "422-gwapi-httproute": "the Gateway API is not served yet",
    "429-eviction-pdb": "no evictions: the local mesh has no disruption budgets",
}


def test_refusals_are_those_of_a_real_server(shared_cases: Path, tmp_path: Path) -> None:
    """Same HTTP code, kind and reason for each; the gaps are exactly those listed."""
    cases = {path.stem: json.loads(path.read_text()) for path in sorted((shared_cases / "kube-api" / "errors").glob("*.json"))}
    differing = asyncio.run(asyncio.wait_for(replay(tmp_path, cases), 60))
    print(f"recorded refusals: {len(cases) - len(differing)} of {len(cases)}")  # noqa: T201  progress is a number
    assert differing == set(GAPS)


async def replay(folder: Path, cases: Mapping[str, Any]) -> set[str]:
    async with kube_api(folder) as api:
        for namespace in ("kt-a", "kt-b"):
            await make(api, "Namespace", {"metadata": {"name": namespace}}, "")
        await make(api, "ConfigMap", {"metadata": {"name": "c1"}, "data": {"a": "1"}}, "kt-b")
        rule = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "v1"}, "spec": {"hosts": ["h"]}}
        await make(api, "VirtualService", rule, "kt-b")
        await make(api, "Service", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}, "kt-a")
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
        deployment = {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
        await make(api, "Deployment", deployment, "kt-a")
        skipped = {"403-named"}  # it would delete what others need
        return skipped | {name for name, case in cases.items() if name not in skipped and not await same(api, case)}


async def make(api: RunningApi, kind: str, obj: dict[str, Any], namespace: str) -> None:
    info = by_kind(kind)
    assert info is not None
    await api.client.create(info, obj, namespace)


async def same(api: RunningApi, case: Any) -> bool:
    request, wanted = case["request"], case["response"]
    body = request.get("body")
    data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = await api.client._pool.send(request["method"], request["path"], headers=request["headers"], body=data)
    content = await reply.read()
    if reply.status != wanted["status"]:
        return False
    if not isinstance(wanted["body"], dict):
        return True
    got = json.loads(content)
    return bool(got.get("kind") == wanted["body"].get("kind") and got.get("reason") == wanted["body"].get("reason"))
