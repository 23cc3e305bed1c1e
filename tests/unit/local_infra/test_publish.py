"""Published ports: their notation, their sockets, and the relay."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from lateen.local.publish import Publication, PublishError, Relay, open_listeners, parse_publication, who_listens

# The node runs on uvloop; tests of other parts may not.
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, Any]], Any]
PORT = Publication(service="web", port=80, host_port=0)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_notation() -> None:
    """HOST:SERVICE:PORT, with an address before the host's port and a namespace after the service where wanted."""
    assert parse_publication("8081:reviews:9080") == Publication(service="reviews", port=9080, host_port=8081)
    assert parse_publication("0.0.0.0:8081:reviews.prod:9080") == Publication(
        service="reviews", namespace="prod", port=9080, host_port=8081, address="0.0.0.0"
    )
    assert parse_publication("[::1]:8081:reviews:9080").address == "::1"


@pytest.mark.parametrize(
    ("text", "said"),
    [("8081", "not HOST:SERVICE:PORT"), ("a:b:80", "'a' is not a port"), ("80:b:0", "'0' is not a port"), ("1::2", "HOST")],
)
def test_bad_notation_is_said(text: str, said: str) -> None:
    """The sentence quotes what was typed."""
    with pytest.raises(PublishError, match=said) as error:
        parse_publication(text)
    assert text in str(error.value)


def test_a_taken_port_names_who_has_it_and_the_way_out() -> None:
    """Nothing stays open when one of several ports is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as probe:
        port, free = taken.getsockname()[1], probe.getsockname()[1]
        probe.close()
        wanted = [Publication(service="a", port=1, host_port=free), Publication(service="b", namespace="n", port=2, host_port=port)]
        with pytest.raises(
            PublishError, match=rf"127\.0\.0\.1:{port} is taken by .*\(process {os.getpid()}\).*--publish {port + 1}:b\.n:2"
        ):
            open_listeners(wanted)
        with socket.create_server(("127.0.0.1", free)):
            assert str(os.getpid()) in who_listens(port)


def test_an_address_that_is_not_ours_is_said() -> None:
    """192.0.2.1 is nobody's."""
    with pytest.raises(PublishError, match=r"Port 192\.0\.2\.1:8099 cannot be published"):
        open_listeners([Publication(service="a", port=1, host_port=8099, address="192.0.2.1")])


@asynccontextmanager
async def relayed(pod: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[tuple[Relay, Streams]]:
    """A client's connection through a relay to `pod`."""
    server = await asyncio.start_server(pod, "127.0.0.1", 0)
    target = server.sockets[0].getsockname()
    listener = open_listeners([PORT])[0]
    relay = Relay(listener, PORT, lambda: target)
    await relay.start()
    streams = await asyncio.open_connection(*listener.getsockname())
    try:
        async with asyncio.timeout(20):
            yield relay, streams
    finally:
        streams[1].close()
        await relay.stop()
        server.close()


async def settled(relay: Relay) -> None:
    """Wait until no connection is joined."""
    async with asyncio.timeout(5):
        while relay.connections:  # noqa: ASYNC110  (a count, not an event)
            await asyncio.sleep(0)


@LOOPS
def test_bytes_pass_both_ways_and_each_end_by_itself(run: Run) -> None:
    """The client ends its direction first; the pod's answer still arrives whole."""

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            data = await reader.read()  # until the client's end
            writer.write(data[::-1])
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    async def scenario() -> None:
        async with relayed(pod) as (relay, (reader, writer)):
            sent = bytes(range(256)) * 4096
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent[::-1]
            await settled(relay)

    run(scenario())


@LOOPS
def test_a_pod_that_ends_first_leaves_the_clients_direction_open(run: Run) -> None:
    """The pod says all it has to say, and hears the client out."""
    heard: list[bytes] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"hello")
            writer.write_eof()
            heard.append(await reader.read())
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    async def scenario() -> None:
        async with relayed(pod) as (relay, (reader, writer)):
            assert await reader.read() == b"hello"
            writer.write(b"goodbye")
            writer.write_eof()
            await settled(relay)
        assert heard == [b"goodbye"]

    run(scenario())


@LOOPS
def test_a_slow_pod_slows_the_client(run: Run) -> None:
    """What the pod does not read stays with the client: the relay keeps little of it."""
    go_on = asyncio.Event()
    heard: list[int] = []

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await go_on.wait()
            heard.append(len(await reader.read()))
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    async def scenario() -> None:
        async with relayed(pod) as (relay, (_, writer)):
            whole = b"x" * (64 << 20)
            writer.write(whole)
            with pytest.raises(TimeoutError):  # the client cannot get rid of it
                await asyncio.wait_for(writer.drain(), 0.3)
            assert writer.transport.get_write_buffer_size() > len(whole) // 2
            go_on.set()
            await writer.drain()
            writer.write_eof()
            await settled(relay)
            assert heard == [len(whole)]

    run(scenario())


@LOOPS
def test_a_broken_side_breaks_the_other(run: Run) -> None:
    """A client that vanishes frees the pod's connection, and nothing is left of it."""
    gone = asyncio.Event()

    async def pod(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"hello")
            try:
                while await reader.read(1):
                    pass
            except ConnectionError:
                gone.set()
            writer.close()
        except BaseException:
            writer.transport.abort()  # ended in the middle: nothing of it is left behind
            raise

    async def scenario() -> None:
        async with relayed(pod) as (relay, (reader, writer)):
            assert await reader.read(5) == b"hello"
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()  # a reset
            await asyncio.wait_for(gone.wait(), 5)
            await settled(relay)

    run(scenario())


@pytest.mark.parametrize("target", [None, ("127.0.0.1", 1)])
def test_no_pod_is_said_in_http(target: tuple[str, int] | None) -> None:
    """A browser that comes too early reads a sentence; the next connection asks for a target anew."""

    async def scenario() -> bytes:
        publication = Publication(service="istio-ingressgateway", namespace="istio-system", port=8080, host_port=0, http=True)
        listener = open_listeners([publication])[0]
        relay = Relay(listener, publication, lambda: target)
        await relay.start()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        async with asyncio.timeout(5):
            said = await reader.read()
        writer.close()
        await relay.stop()
        return said

    said = asyncio.run(scenario()).decode()
    assert said.startswith("HTTP/1.1 503 ")
    assert "istio-ingressgateway.istio-system:8080" in said
    assert ("No pod" if target is None else "127.0.0.1:1 cannot be reached") in said
