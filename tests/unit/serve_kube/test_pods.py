"""Logs of containers and commands in them, through client and server."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from lateen.api.kinds import by_kind
from lateen.kube.errors import ApiError
from lateen.testing.kubeapi import RunningApi, kube_api

POD: Any = by_kind("Pod")


def pod(name: str, *containers: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": c, "image": "i"} for c in containers]}}


def run(folder: Path, node_class: Any, check: Callable[[RunningApi, Any], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        node = node_class()
        async with kube_api(folder, node=node) as api:
            await api.client.create(POD, pod("p", "c"))
            await check(api, node)

    asyncio.run(asyncio.wait_for(main(), 60))


async def text(api: RunningApi, *args: Any, **options: Any) -> bytes:
    return b"".join([chunk async for chunk in api.client.logs(*args, **options)])


def test_logs_are_read_whole_or_by_their_end(tmp_path: Path, fake_node: Any) -> None:
    """All lines, or the last ones."""

    async def check(api: RunningApi, node: Any) -> None:
        assert await text(api, "default", "p") == b"one\ntwo\nthree\n"
        assert await text(api, "default", "p", "c", tail=1) == b"three\n"

    run(tmp_path, fake_node, check)


def test_a_followed_log_streams(tmp_path: Path, fake_node: Any) -> None:
    """What is there comes at once, the rest when it is written; then it ends."""

    async def check(api: RunningApi, node: Any) -> None:
        seen = b""
        async with aclosing(api.client.logs("default", "p", follow=True)) as chunks:
            async for chunk in chunks:
                seen += chunk
                if seen == b"one\ntwo\nthree\n":
                    assert not node.ends.is_set()
                    node.ends.set()
        assert seen == b"one\ntwo\nthree\nlast\n"

    run(tmp_path, fake_node, check)


def test_the_container_must_be_clear(tmp_path: Path, fake_node: Any) -> None:
    """Named, the only one, or the one that the pod's annotation names."""

    async def check(api: RunningApi, node: Any) -> None:
        await api.client.create(POD, pod("two", "a", "b"))
        await api.client.create(POD, pod("named", "a", "b", annotations={"kubectl.kubernetes.io/default-container": "b"}))
        with pytest.raises(ApiError, match=r"a container name must be specified for pod two, choose one of: \[a b\]"):
            await text(api, "default", "two")
        with pytest.raises(ApiError, match="container zz is not valid for pod two"):
            await text(api, "default", "two", "zz")
        assert await text(api, "default", "named", tail=1) == b"three\n"
        with pytest.raises(ApiError) as refused:
            await text(api, "default", "absent")
        assert refused.value.code == 404

    run(tmp_path, fake_node, check)


def test_the_nodes_refusal_reaches_the_client(tmp_path: Path, fake_node: Any) -> None:
    """As the Status it is, not as an empty log."""

    async def check(api: RunningApi, node: Any) -> None:
        await api.client.create(POD, pod("w", "waiting"))
        with pytest.raises(ApiError, match="is waiting to start"):
            await text(api, "default", "w")

    run(tmp_path, fake_node, check)


async def outcome(api: RunningApi, command: list[str], data: bytes | None = None) -> tuple[bytes, bytes, int | None]:
    streams = {1: b"", 2: b""}
    async with await api.client.exec("default", "p", "c", command, stdin=data is not None) as session:
        if data is not None:
            await session.write(data)
            await session.close_input()
        async for channel, chunk in session.output():
            streams[channel] += chunk
        return streams[1], streams[2], session.exit_code


def test_a_command_has_streams_and_an_exit_code(tmp_path: Path, fake_node: Any) -> None:
    """Both outputs apart, input to its end, and the code."""

    async def check(api: RunningApi, node: Any) -> None:
        assert await outcome(api, ["sh", "-c", "echo out; echo err >&2; exit 3"]) == (b"out\n", b"err\n", 3)
        assert await outcome(api, ["cat"], b"hello") == (b"hello", b"", 0)
        large = b"x" * 1_000_000
        assert await outcome(api, ["wc", "-c"], large) == (b"1000000\n", b"", 0)
        assert (await outcome(api, ["head", "-c", "3000000", "/dev/zero"]))[0] == bytes(3_000_000)

    run(tmp_path, fake_node, check)


def test_leaving_ends_the_command(tmp_path: Path, fake_node: Any) -> None:
    """The client goes away: nothing is left running."""

    async def check(api: RunningApi, node: Any) -> None:
        async with await api.client.exec("default", "p", "c", ["sleep", "600"], tty=True) as session:
            await session.resize(80, 24)
        ended = node.sessions[0].process
        assert await asyncio.wait_for(ended.wait(), 10) != 0
        assert node.sessions[0].sizes in ([], [(80, 24)])

    run(tmp_path, fake_node, check)


def test_an_impossible_command_is_refused_before_it_starts(tmp_path: Path, fake_node: Any) -> None:
    """No pod, no command: a Status, not a broken socket."""

    async def check(api: RunningApi, node: Any) -> None:
        with pytest.raises(ApiError) as refused:
            await api.client.exec("default", "absent", "c", ["true"])
        assert (refused.value.code, refused.value.reason) == (404, "NotFound")
        with pytest.raises(ApiError, match="at least one command"):
            await api.client.exec("default", "p", "c", [])

    run(tmp_path, fake_node, check)


def test_an_old_kubectl_is_told_why(tmp_path: Path, fake_node: Any) -> None:
    """SPDY is not spoken; the sentence says what to do."""

    async def check(api: RunningApi, node: Any) -> None:
        with pytest.raises(ApiError, match=r"kubectl 1\.31 or later"):
            await api.client.request("POST", "/api/v1/namespaces/default/pods/p/exec", query={"command": "ls"})

    run(tmp_path, fake_node, check)


def test_without_a_node_there_are_no_logs(tmp_path: Path) -> None:
    """503, and why."""

    async def main() -> None:
        async with kube_api(tmp_path) as api:
            await api.client.create(POD, pod("p", "c"))
            with pytest.raises(ApiError, match="has no node"):
                await text(api, "default", "p")

    asyncio.run(asyncio.wait_for(main(), 60))
