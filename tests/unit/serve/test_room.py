"""Memory for responses under way: shared in the order of asking, and nobody keeps it for good."""

import asyncio

from lateen.serve.grpc_ads import Room


async def turns() -> None:
    """Let what can run, run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_asks_too_much_waits_its_turn_and_small_ones_do_not_overtake() -> None:
    """Of ten bytes eight are taken: five wait, and so does one that came after them."""

    async def main() -> list[str]:
        room, done, leave = Room(most=10), list[str](), asyncio.Event()

        async def take(name: str, size: int, until: asyncio.Event) -> None:
            async with room.share(size):
                done.append(name)
                await until.wait()

        tasks = [asyncio.ensure_future(take("a", 8, leave)), asyncio.ensure_future(take("b", 5, leave))]
        tasks.append(asyncio.ensure_future(take("c", 1, leave)))
        await turns()
        assert done == ["a"]
        leave.set()
        await asyncio.gather(*tasks)
        return done

    assert asyncio.run(asyncio.wait_for(main(), 10)) == ["a", "b", "c"]


def test_nobody_waits_for_good() -> None:
    """Slow clients come again and again; who waited long goes on without a part, and the others still find theirs."""

    async def main() -> None:
        room, never = Room(most=10, longest=0.01), asyncio.Event()

        async def stall() -> None:
            async with room.share(10):
                await never.wait()

        stalled = asyncio.ensure_future(stall())
        await turns()
        async with room.share(10):
            pass
        stalled.cancel()
        await turns()
        async with room.share(10):
            pass

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_client_that_does_not_read_holds_no_other_up() -> None:
    """After a while its part is free again, once; more than all is all."""

    async def main() -> None:
        room, never = Room(most=10, patience=0.01), asyncio.Event()

        async def stall() -> None:
            async with room.share(10_000):
                await never.wait()

        stalled = asyncio.ensure_future(stall())
        await turns()
        async with room.share(10):
            stalled.cancel()
            await turns()
            waiting = asyncio.ensure_future(stall())
            await turns()
            waiting.cancel()
            await turns()
        async with room.share(10):
            pass

    asyncio.run(asyncio.wait_for(main(), 10))
