"""Streams that are let in: by rate after a burst, by node and by service account; at the real door too."""

import asyncio
from collections import Counter
from typing import Any

import grpc
import pytest
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb

from lateen.ads.messages import CDS
from lateen.serve.grpc_ads import AdsService
from lateen.serve.grpc_doors import open_plaintext_door
from lateen.serve.streamlimits import Pace, StreamLimits
from lateen.testing.mesh import free_port

NODE = "sidecar~10.0.0.9~client-0.default~default.svc.cluster.local"


def test_after_a_burst_so_many_per_second_come_in() -> None:
    """Three at once, then two a second; time that passes unused is not saved above the burst."""
    limits = StreamLimits(per_second=2, at_once=3)
    let_in = [limits.enter(f"n{i}", "default/web", 100.0) is None for i in range(5)]
    assert let_in == [True, True, True, False, False]
    assert "request rate limit exceeded" in str(limits.enter("n9", "default/web", 100.4))
    assert limits.enter("n9", "default/web", 100.5) is None
    assert [limits.enter(f"m{i}", "default/web", 1000.0) is None for i in range(4)] == [True, True, True, False]


def test_requests_are_read_as_fast_as_their_size_allows() -> None:
    """4,000 short ones at once, then 200 a second; one of 4 MiB counts for a thousand."""
    pace = Pace()
    assert [pace.delay(0, 7.0) for _ in range(4000)] == [0.0] * 4000
    assert pace.delay(0, 7.0) == pytest.approx(1 / 200)
    assert pace.delay(0, 7.1) == 0.0
    assert pace.delay(4 << 20, 1000.0) == 0.0
    assert pace.delay(16 << 20, 1000.0) == pytest.approx((1025 + 4097 - 4000) / 200)


def test_a_node_and_an_account_have_so_many_streams_open() -> None:
    """The others are not touched; a stream that ends makes room."""
    limits = StreamLimits(of_node=1, of_account=2)
    assert limits.enter("a", "default/web", 0) is None
    assert "node a has 1 streams open" in str(limits.enter("a", "default/web", 0))
    assert limits.enter("b", "default/web", 0) is None
    assert "account default/web has 2 streams open" in str(limits.enter("c", "default/web", 0))
    assert limits.enter("c", "default/api", 0) is None
    limits.leave("a", "default/web")
    assert limits.enter("a", "default/web", 0) is None


class Hub:
    """Connects whoever is let in, and sends nothing."""

    waits = False

    def connect(self, *_: object, **__: object) -> Any:
        return self

    def on_request(self, _request: object) -> None: ...
    def close(self) -> None: ...


def delta_method(channel: grpc.aio.Channel) -> Any:
    """Opens a delta stream when called."""
    return channel.stream_stream(
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        pb.DeltaDiscoveryRequest.SerializeToString,
        pb.DeltaDiscoveryResponse.FromString,
    )


def test_one_stream_too_many_is_refused_at_the_door() -> None:
    """Of two streams of one node one goes on and one ends with RESOURCE_EXHAUSTED."""

    async def main() -> None:
        address = f"127.0.0.1:{free_port()}"
        door = open_plaintext_door(address).serve(AdsService(Hub(), callers=None, limits=StreamLimits(of_node=1)))
        await door.start()
        async with grpc.aio.insecure_channel(address) as channel:
            open_stream = delta_method(channel)
            first = pb.DeltaDiscoveryRequest(node=base_pb2.Node(id=NODE), type_url=CDS)
            streams: list[Any] = [open_stream(timeout=10), open_stream(timeout=10)]
            for stream in streams:
                await stream.write(first)
            done, _ = await asyncio.wait([asyncio.ensure_future(stream.code()) for stream in streams], return_when="FIRST_COMPLETED")
            assert [one.result() for one in done] == [grpc.StatusCode.RESOURCE_EXHAUSTED]
            for stream in streams:
                stream.cancel()
        await door.stop(0)

    asyncio.run(asyncio.wait_for(main(), 30))


class Strangers:
    """Callers of one address, none of whose tokens is good."""

    reviews = 0

    def stranger(self, _context: object) -> str:
        return "192.0.2.1"

    async def of(self, _context: object) -> None:
        self.reviews += 1


def test_an_address_does_not_try_tokens_for_ever() -> None:
    """A hundred are reviewed at once, further ones are told to come later."""
    callers: Any = Strangers()

    async def main() -> Counter[grpc.StatusCode]:
        address = f"127.0.0.1:{free_port()}"
        door = open_plaintext_door(address).serve(AdsService(Hub(), callers=callers))
        await door.start()
        async with grpc.aio.insecure_channel(address) as channel:
            open_stream = delta_method(channel)

            async def ended() -> grpc.StatusCode:
                stream: Any = open_stream(timeout=20)
                await stream.write(pb.DeltaDiscoveryRequest(node=base_pb2.Node(id=NODE), type_url=CDS))
                code: grpc.StatusCode = await stream.code()
                return code

            codes = Counter(await asyncio.gather(*(ended() for _ in range(150))))
        await door.stop(0)
        return codes

    codes = asyncio.run(asyncio.wait_for(main(), 30))
    assert codes[grpc.StatusCode.PERMISSION_DENIED] == callers.reviews
    assert 100 <= callers.reviews < 150
    assert codes[grpc.StatusCode.RESOURCE_EXHAUSTED] == 150 - callers.reviews
