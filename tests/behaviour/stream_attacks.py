"""Clients of xDS that mean harm: `python stream_attacks.py KIND ADDRESS STREAMS`, until it is ended.

It says `under way` when a stream is open.
"""

import asyncio
import contextlib
import sys
from typing import Any

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.discovery.v3 import discovery_pb2 as pb
from google.rpc import status_pb2

from lateen.ads.messages import CDS, EDS, LDS

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
REFUSED = status_pb2.Status(code=13, message="no")


class Attack:
    """What one stream does."""

    def __init__(self, call: Any, number: int) -> None:
        self._call = call
        self._number = number

    async def write(self, type_url: str, *names: str, gone: tuple[str, ...] = (), **fields: Any) -> None:
        await self._call.write(
            pb.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names, resource_names_unsubscribe=gone, **fields)
        )

    async def refuse(self) -> None:
        """NACKs all there is."""
        await self.write(LDS)
        async for response in self._call:
            await self.write(response.type_url, response_nonce=response.nonce, error_detail=REFUSED)

    async def stall(self) -> None:
        """Asks and reads nothing."""
        await self.write(LDS)
        await asyncio.Event().wait()

    async def types(self) -> None:
        """Asks for types that nobody has."""
        for turn in range(10**9):
            await self.write(f"type.googleapis.com/none.{self._number}.{turn}", "name")

    async def names(self) -> None:
        """Asks for names that nobody has."""
        for turn in range(10**9):
            await self.write(EDS, *(f"outbound|80||n{self._number}-{turn}-{name}-{'x' * 60}" for name in range(20_000)))

    async def flood(self) -> None:
        """Asks for the same and lets it go, as fast as it can."""
        for turn in range(10**9):
            name = f"outbound|80||s{turn % 300}.default.svc.cluster.local"
            await self.write(EDS, name)
            await self.write(EDS, gone=(name,))


async def one(channel: grpc.aio.Channel, kind: str, number: int) -> None:
    node = base_pb2.Node(id=f"sidecar~10.0.1.{number}~bad-{number}.default~default.svc.cluster.local")
    if kind == "metadata":
        node.metadata["FILLER"] = "x" * (3 << 20)
    call: Any = channel.stream_stream(METHOD, pb.DeltaDiscoveryRequest.SerializeToString, pb.DeltaDiscoveryResponse.FromString)()
    attack = Attack(call, number)
    await call.write(pb.DeltaDiscoveryRequest(node=node, type_url=CDS))
    sys.stdout.write("under way\n")
    sys.stdout.flush()
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):  # it may well be ended
        await getattr(attack, "stall" if kind == "metadata" else kind)()


async def main(kind: str, address: str, streams: int) -> None:
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as tasks:
        for number in range(streams):
            tasks.create_task(one(channel, kind, number))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
