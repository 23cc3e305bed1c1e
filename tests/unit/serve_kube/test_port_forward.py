"""Connections to a pod's ports: kubectl itself, and the simpler channels."""

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, Request

from lateen.api.kinds import by_kind
from lateen.kube.spdy import SpdyError, SpdySession
from lateen.testing.kubeapi import RunningApi, kube_api

POD: Any = by_kind("Pod")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it is told, twice as long, and ends when the other side does."""
    try:
        while chunk := await reader.read(1 << 16):
            writer.write(chunk + chunk)
            await writer.drain()
    finally:
        writer.close()


async def running_pod(api: RunningApi) -> None:
    await api.client.create(POD, {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}})
    await api.client.patch_status(POD, "p", {"phase": "Running"}, "default")


async def said(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_kubectl_forwards_ports(tmp_path: Path, fake_node: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Several connections at once, large ones, and one to a port where nobody listens."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl on this machine")

    class SlowToRefuse(fake_node):  # type: ignore[misc]  # a class that a fixture gives
        async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            """Port 1 refuses after the client has spoken."""
            if port == 1:
                spoken = asyncio.Event()
                asyncio.get_running_loop().call_later(0.1, spoken.set)
                await spoken.wait()
            return await super().connect(namespace, pod, port)  # type: ignore[no-any-return]  # see above

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with kube_api(tmp_path, node=SlowToRefuse(), tls=True) as api:
            await running_pod(api)
            env = {**os.environ, "KUBECONFIG": str(api.kubeconfig), "HOME": str(tmp_path)}
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                kubectl, "port-forward", "pod/p", f":{port}", ":1", stdout=pipe, stderr=pipe, env=env
            )  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            ports: list[str] = []
            while len(ports) < 2:
                line = (await process.stdout.readline()).decode()
                ports += re.findall(r"127\.0\.0\.1:(\d+) ->", line)
            large = os.urandom(1 << 20)
            answers = await asyncio.gather(*(said(int(ports[0]), data) for data in (b"one", b"two", large)))
            assert answers == [b"oneone", b"twotwo", answers[2]]
            assert len(answers[2]) == 2 << 20
            assert await said(int(ports[1]), b"x") == b""
            told = ""
            while "forwarding" not in told:
                told = (await process.stderr.readline()).decode()
            assert "forwarding to port 1" in told
            process.kill()
            await process.communicate()
        server.close()

    asyncio.run(asyncio.wait_for(main(), 60))
    assert [record.message for record in caplog.records if record.exc_info] == []


def test_channels_without_spdy(tmp_path: Path, fake_node: Any) -> None:
    """As kr8s asks: the ports in the query, each with two channels that begin with its number."""

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with kube_api(tmp_path, node=fake_node()) as api:
            await running_pod(api)
            reader, writer = await asyncio.open_unix_connection(str(api.socket))
            socket = WSConnection(ConnectionType.CLIENT)
            writer.write(socket.send(Request(host="x", target=f"/api/v1/namespaces/default/pods/p/portforward?ports={port}")))
            frames: list[bytes] = []
            while len(frames) < 3:
                socket.receive_data(await reader.read(1 << 16))
                for event in socket.events():
                    if isinstance(event, AcceptConnection):
                        writer.write(socket.send(BytesMessage(data=b"\x00hi")))
                    if isinstance(event, BytesMessage):
                        frames.append(bytes(event.data))
            number = port.to_bytes(2, "little")
            assert frames == [b"\x00" + number, b"\x01" + number, b"\x00hihi"]
            writer.close()
        server.close()

    asyncio.run(asyncio.wait_for(main(), 20))


@given(st.binary(max_size=64), st.integers(0, 255))
def test_any_bytes_give_events_or_a_refusal(data: bytes, kind: int) -> None:
    """Nothing else comes out of a session that is told nonsense."""
    refused, events = False, []
    try:
        events = list(SpdySession().receive(b"\x80\x03\x00" + bytes([kind]) + b"\x00\x00\x00" + bytes([len(data)]) + data))
    except SpdyError:
        refused = True
    assert refused or len(events) <= 1
