"""The load generator: what it sends, and what it says of the answers."""

import asyncio
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from lateen.samples.fortio import Load, run_load
from lateen.samples.http1 import Request, Response
from lateen.samples.web import Server, listen

Start = Callable[..., Any]
FORTIO = (sys.executable, "-P", "-m", "lateen.samples.fortio")


@pytest.fixture(scope="module")
def httpbin(start: Start) -> str:
    return str(start("httpbin").url)


def fortio(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FORTIO, *arguments], capture_output=True, text=True, timeout=20, check=False)


def test_load_counts_the_codes_as_the_original(httpbin: str) -> None:
    """Twenty requests on two connections: the line that Istio's circuit breaking task shows, and the total."""
    ran = fortio("load", "-c", "2", "-qps", "0", "-n", "20", "-loglevel", "Warning", f"{httpbin}/get")
    assert ran.returncode == 0
    assert "Code 200 : 20 (100.0 %)" in ran.stdout.splitlines()
    assert re.search(r"^All done 20 calls \(plus 0 warmup\) [0-9.]+ ms avg, [0-9.]+ qps$", ran.stdout, re.MULTILINE)
    assert "Running at" not in ran.stdout


def test_what_is_not_answered_is_counted_too() -> None:
    """Nobody listens: code -1, as the original."""
    assert "Code  -1 : 3 (100.0 %)" in fortio("load", "-n", "3", "-qps", "0", "http://127.0.0.1:1/").stdout


def test_curl_shows_the_answer_and_fails_with_it(httpbin: str) -> None:
    """Status line, headers, body; the exit code is 0 for 200 only."""
    ran = fortio("curl", "-quiet", "-H", "x-user: one", f"{httpbin}/headers")
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "HTTP/1.1 200 OK")
    assert '"X-User"' in ran.stdout
    assert fortio("curl", f"{httpbin}/status/503").returncode == 1


def test_requests_are_spread_over_time_and_connections() -> None:
    """At 4 a second for half a second two are sent; with three connections three requests are under way at once."""

    async def run() -> tuple[int, Mapping[int, int]]:
        three = asyncio.Barrier(3)

        async def answer(request: Request) -> Response:
            if request.target == "/three":
                await three.wait()
            return Response(200)

        listener = listen(0)
        server = Server(answer, log=lambda _line: None)
        await server.start(listener)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            paced = await run_load(Load(f"{url}/", connections=1, qps=4, seconds=0.5))
            together = await run_load(Load(f"{url}/three", connections=3, qps=0, calls=12))
        finally:
            await server.stop()
        return len(paced.times), together.codes

    assert asyncio.run(run()) == (2, {200: 12})


def test_the_clock_decides_when_it_is_over() -> None:
    """Time that is over sends nothing."""
    ticks = itertools.count(0, 10)
    assert asyncio.run(run_load(Load("http://127.0.0.1:1/", seconds=5), clock=lambda: float(next(ticks)))).times == ()
