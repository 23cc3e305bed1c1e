"""Whose a token is, as the embedded API says it to who asks: Kubernetes' TokenReview."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lateen.ca.spiffe import Identity
from lateen.serve.callers import Caller
from lateen.server.tokenreview import TokenReviewer
from lateen.testing.kubeapi import kube_api

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


@pytest.mark.parametrize(
    ("token", "audiences", "status"),
    [
        ("good", ["istio-ca", "elsewhere"], {"authenticated": True, "audiences": ["istio-ca"]}),
        ("good", ["elsewhere"], {"error": "invalid bearer token: it is for istio-ca, vault"}),
        ("good", [], {"error": "invalid bearer token: it is for istio-ca, vault"}),
        ("bad", ["istio-ca"], {"error": "invalid bearer token"}),
    ],
    ids=["good", "another audience", "the API's own audience", "nobody's"],
)
def test_a_token_is_somebodys_for_its_audience_only(
    tmp_path: Path, fake_node: Any, token: str, audiences: list[str], status: dict[str, Any]
) -> None:
    """Account, pod and audience of a good one; no user, and why, for every other. The token is not given back."""

    async def run() -> None:
        async with kube_api(tmp_path, node=fake_node()) as api:
            body = {"kind": "TokenReview", "spec": {"token": token, "audiences": audiences}}
            answer = msgspec.json.decode(await api.client.request("POST", PATH, body=body))
            user = answer["status"].pop("user")
            assert answer["status"] == status
            assert "token" not in answer["spec"]
            wanted = {"username": "system:serviceaccount:shop:clerk"} if "authenticated" in status else {}
            assert {key: value for key, value in user.items() if key == "username"} == wanted

    asyncio.run(run())


def test_the_control_plane_asks_for_its_own_audience(tmp_path: Path, fake_node: Any) -> None:
    """The account and the pod of a good token; nobody for a bad one and for one that is longer than tokens are."""

    async def run() -> None:
        async with kube_api(tmp_path, node=fake_node()) as api:
            review = TokenReviewer(api.client, "cluster.local")
            assert await review("good") == Caller(Identity("cluster.local", "shop", "clerk"), "web-1")
            assert await review("bad") is None
            assert await review("good" * 10_000) is None

    asyncio.run(run())
