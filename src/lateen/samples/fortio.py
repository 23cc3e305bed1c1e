"""The fortio sample: an echo server, and the two of its commands that Istio's tasks use: `load` and `curl`.

Its figures are printed as the original prints them, so that what people read and grep is there. Must not measure to the
microsecond: one process, one thread, as many connections as are asked for.
"""

import argparse
import asyncio
import itertools
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple

from lateen.samples.client import FetchError, fetch
from lateen.samples.http1 import Headers, Request, Response
from lateen.samples.web import Handler, print_line, usage
from lateen.samples.web import main as serve_for_ever

__all__ = ["Load", "Result", "build_echo", "run_load"]

_FAILED = -1  # the code of a request without an answer, as the original counts it
_PERCENTILES = (50, 75, 90, 99, 99.9)


class Load(NamedTuple):
    """`connections` clients share `calls` requests, or `seconds` of time where calls is 0, at `qps` together (0: as fast as they can)."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    connections: int = 4
    qps: float = 8
    calls: int = 0
    seconds: float = 5
    timeout: float = 3


class Result(NamedTuple):
    """Requests by status code, and each one's seconds."""

    codes: Counter[int]
    times: tuple[float, ...]
    seconds: float


async def run_load(load: Load, clock: Callable[[], float] = time.monotonic) -> Result:
    """Send all requests and wait for their answers."""
    begun = clock()
    numbers: Iterator[int] = iter(range(load.calls)) if load.calls else itertools.count()
    codes: Counter[int] = Counter()
    times: list[float] = []

    async def client() -> None:
        for number in numbers:
            due = begun + (number / load.qps if load.qps else 0)
            if not load.calls and max(due, clock()) >= begun + load.seconds:
                return
            await asyncio.sleep(max(0.0, due - clock()))
            sent = clock()
            try:
                codes[(await fetch(load.url, load.headers, seconds=load.timeout)).status] += 1
            except FetchError:
                codes[_FAILED] += 1
            times.append(clock() - sent)

    await asyncio.gather(*(client() for _ in range(load.connections)))
    return Result(codes, tuple(sorted(times)), clock() - begun)


def report(result: Result) -> str:
    """What the original prints at the end."""
    times, count = result.times, len(result.times)
    mean = sum(times) / count if count else 0.0
    spread = math.sqrt(sum((each - mean) ** 2 for each in times) / count) if count else 0.0
    first, last = min(times, default=0), max(times, default=0)
    lines = [f"Aggregated Function Time : count {count} avg {mean:.8g} +/- {spread:.4g} min {first:.8g} max {last:.8g}"]
    lines += [
        f"# target {percent:g}% {times[min(count - 1, math.ceil(count * percent / 100) - 1)]:.8g}" for percent in _PERCENTILES if count
    ]
    lines += [f"Code {code:3d} : {seen} ({100 * seen / count:.1f} %)" for code, seen in sorted(result.codes.items())]
    qps = count / result.seconds if result.seconds else 0.0
    lines.append(f"All done {count} calls (plus 0 warmup) {1000 * mean:.3f} ms avg, {qps:.1f} qps")
    return "\n".join(lines)


def build_echo() -> Handler:
    """The server's handler: a body comes back; `?status=` and `?delay=` are kept."""

    async def echo(request: Request) -> Response:
        parts = dict(each.partition("=")[::2] for each in request.target.partition("?")[2].split("&"))
        if parts.get("delay"):
            await asyncio.sleep(_seconds(parts["delay"]))
        status = parts.get("status", "")
        return Response(int(status) if status.isdigit() else 200, request.body, Headers((("Content-Type", "text/plain; charset=UTF-8"),)))

    return echo


def _seconds(text: str) -> float:
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    return float(text)


def _parser(command: str) -> argparse.ArgumentParser:
    """Go's way of options: one dash, whole words."""
    parser = argparse.ArgumentParser(prog=f"fortio {command}", add_help=False, allow_abbrev=False)
    parser.add_argument("-H", action="append", default=[], dest="headers")
    parser.add_argument("-c", type=int, default=4, dest="connections")
    parser.add_argument("-qps", type=float, default=8)
    parser.add_argument("-n", type=int, default=0, dest="calls")
    parser.add_argument("-t", type=_seconds, default=5.0, dest="seconds")
    parser.add_argument("-timeout", type=_seconds, default=3.0)
    parser.add_argument("-loglevel", default="Info")
    for flag in ("-quiet", "-allow-initial-errors", "-k", "-stdclient"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("url")
    return parser


def _load(command: str, arguments: Sequence[str]) -> tuple[Load, argparse.Namespace]:
    given = _parser(command).parse_args(arguments)
    headers = tuple((name.strip(), value.strip()) for name, _, value in (each.partition(":") for each in given.headers))
    url = given.url if "://" in given.url else f"http://{given.url}"
    return Load(url, headers, given.connections, given.qps, given.calls, given.seconds, given.timeout), given


async def _curl(load: Load) -> int:
    try:
        answer = await fetch(load.url, load.headers, seconds=load.timeout)
    except FetchError as failed:
        print(failed, file=sys.stderr)
        return 1
    print(f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}")
    print("\n".join(f"{name}: {value}" for name, value in answer.headers), end="\n\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(answer.body)
    return 0 if answer.status == HTTPStatus.OK else 1


def _main(arguments: Sequence[str]) -> int:
    command = arguments[0] if arguments else "server"
    if command == "server":
        serve_for_ever("fortio", build_echo(), 8080)
    if command not in {"load", "curl"}:
        usage("usage: fortio [server | load [-c N] [-qps N] [-n N | -t TIME] [-H NAME:VALUE] URL | curl [-H NAME:VALUE] URL]")
    load, given = _load(command, arguments[1:])
    if command == "curl":
        return asyncio.run(_curl(load))
    if given.loglevel.lower() in {"info", "verbose", "debug"} and not given.quiet:
        print_line(f"Running at {load.qps:g} queries per second, {load.connections} connections: {load.url}")
    print_line(report(asyncio.run(run_load(load))))
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
