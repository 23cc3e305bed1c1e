"""Who is let in, and how."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.errors import ApiError
from lateen.serve.http_doors import unix_socket
from lateen.sources.kubeclient import Endpoint, KubeClient, Token, UnreachableError
from lateen.sources.kubeconfig import connect, load_access
from lateen.testing.kubeapi import RunningApi, kube_api

CM: Any = by_kind("ConfigMap")
POD: Any = by_kind("Pod")


def test_the_socket_is_the_owners_alone(tmp_path: Path) -> None:
    """Mode 0600 from its first moment, and a dead process's file is replaced."""
    (tmp_path / "api.sock").write_text("left behind")
    listener = unix_socket(tmp_path / "api.sock")
    mode = (tmp_path / "api.sock").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    listener.close()


def test_the_tls_door_wants_a_token(tmp_path: Path) -> None:
    """Right token: in, under its name. Wrong or none: 401, for objects, watches and commands alike."""

    async def check(api: RunningApi) -> None:
        client = connect([api.kubeconfig])
        await client.create(CM, {"metadata": {"name": "a"}})
        review: Any = json.loads(await client.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}))
        assert review["status"]["userInfo"]["username"] == "tester"
        endpoint = load_access([api.kubeconfig]).endpoint
        for token in (None, Token("wrong")):
            stranger = KubeClient(endpoint, token=token)
            with pytest.raises(ApiError) as refused:
                await stranger.list(CM)
            assert (refused.value.code, refused.value.reason) == (401, "Unauthorized")
            with pytest.raises(ApiError) as refused:
                await stranger.exec("default", "p", "c", ["true"])
            assert refused.value.code == 401
            assert b"gitVersion" in await stranger.request("GET", "/version")
            stranger.close()
        client.close()

    async def main() -> None:
        async with kube_api(tmp_path, tls=True) as api:
            await check(api)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_the_server_must_prove_itself(tmp_path: Path) -> None:
    """A client that trusts another authority does not send its token."""

    async def main() -> None:
        async with kube_api(tmp_path / "one", tls=True) as one, kube_api(tmp_path / "two", tls=True) as two:
            mine, other = load_access([one.kubeconfig]), load_access([two.kubeconfig])
            client = KubeClient(Endpoint(host=mine.endpoint.host, port=mine.endpoint.port, tls=other.endpoint.tls), token=mine.token)
            with pytest.raises(UnreachableError, match="certificate verify failed"):
                await client.list(CM)
            client.close()

    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    asyncio.run(asyncio.wait_for(main(), 60))


def test_closing_ends_watches(tmp_path: Path) -> None:
    """A shutdown does not wait for clients that watch."""

    async def main() -> None:
        async with kube_api(tmp_path) as api:
            stream = api.client.watch(CM, resource_version="1")
            await api.client.create(CM, {"metadata": {"name": "a"}})
            assert (await anext(stream)).type == "ADDED"
            await api.live.close()
            with pytest.raises(StopAsyncIteration):
                await asyncio.wait_for(anext(stream), 5)
            with pytest.raises(ApiError, match="shutting down"):
                await api.client.create(CM, {"metadata": {"name": "b"}})

    asyncio.run(asyncio.wait_for(main(), 60))


def test_tokens_are_never_printed() -> None:
    """Neither the client's nor the server's."""
    assert "hush" not in repr(Token("hush"))
