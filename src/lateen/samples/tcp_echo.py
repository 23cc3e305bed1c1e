"""The tcp-echo sample: every line comes back behind a prefix, on each of the ports given.

Must not answer a line without its end: the original waits for the line break.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from lateen.samples.web import listen, print_line, run_until_stopped, usage

__all__ = ["echo"]

_LONGEST = 1024 * 1024


async def echo(prefix: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection to its end."""
    with suppress(ConnectionError, ValueError, asyncio.CancelledError):  # a line over the limit is a ValueError; cancelled at the end
        while (line := await reader.readline()).endswith(b"\n"):
            writer.write(prefix.encode() + b" " + line)
            await writer.drain()
    writer.close()


async def _serve(ports: tuple[int, ...], prefix: str) -> None:
    async def start() -> Callable[[], Awaitable[None]]:
        servers = []
        for port in ports:
            listener = listen(port)
            servers.append(await asyncio.start_server(lambda r, w: echo(prefix, r, w), sock=listener, limit=_LONGEST))
            print_line(f"tcp_echo listening on port {listener.getsockname()[1]}")

        async def stop() -> None:
            for server in servers:
                server.close()

        return stop

    await run_until_stopped(start)


def _main() -> None:
    ports = sys.argv[1].split(",") if len(sys.argv) == 3 else []
    if not ports or not all(port.isdigit() and int(port) < 65536 for port in ports):
        usage("usage: python -m lateen.samples.tcp_echo PORT[,PORT...] PREFIX")
    asyncio.run(_serve(tuple(map(int, ports)), sys.argv[2]))


if __name__ == "__main__":
    _main()
