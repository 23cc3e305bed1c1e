"""Probes of a container: what one check does, and when checks are made.

Why from inside the pod's network, to the pod's address: a sidecar captures what comes from outside and may insist on mutual TLS; what
a pod sends to itself goes straight to the program, so probes need not be rewritten. A gRPC probe is checked by connecting. Must not
decide what a result means for the container.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable

from lateen.api.pods import Container, HTTPGetAction, Probe
from lateen.local.sandbox import Sandbox
from lateen.runtime.clock import Clock

__all__ = ["Check", "RunCommand", "check_of", "follow"]

_HEAD = 64 * 1024
_EAGER_SECONDS = 0.25

# What one check found: whether all is well, and if not, why.
Check = Callable[[], Awaitable[tuple[bool, str]]]
# Runs a command in the container and returns its exit code.
RunCommand = Callable[[tuple[str, ...]], Awaitable[int]]


def check_of(probe: Probe, container: Container, sandbox: Sandbox, run: RunCommand) -> Check:
    """One check of that probe, with its timeout."""

    async def check() -> tuple[bool, str]:
        try:
            async with asyncio.timeout(probe.timeout_seconds):
                return await _once(probe, container, sandbox, run)
        except TimeoutError:
            return False, f"context deadline exceeded (timeout {probe.timeout_seconds} s)"
        except (OSError, ValueError) as error:
            return False, str(error)

    return check


async def _once(probe: Probe, container: Container, sandbox: Sandbox, run: RunCommand) -> tuple[bool, str]:
    if probe.exec is not None:
        code = await run(probe.exec.command)
        return code == 0, f"command exited with {code}"
    if probe.http_get is not None:
        return await _http(probe.http_get, container, sandbox)
    port = probe.tcp_socket.port if probe.tcp_socket else probe.grpc.port if probe.grpc else 0
    host = (probe.tcp_socket.host if probe.tcp_socket else "") or sandbox.address
    _, writer = await _connect(sandbox, host, _number(port, container))
    writer.close()
    return True, ""


def _number(port: int | str, container: Container) -> int:
    """The port's number; named ports are the container's."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    for each in container.ports:
        if each.name == port:
            return each.container_port
    raise ValueError(f'couldn\'t find port: "{port}" in container {container.name}')


async def _connect(
    sandbox: Sandbox, host: str, port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    plain = sandbox.socket()
    try:
        await asyncio.get_running_loop().sock_connect(plain, (host, port))
        return await asyncio.open_connection(sock=plain, ssl=tls, server_hostname="" if tls else None, limit=_HEAD)
    except BaseException:
        plain.close()
        raise


async def _http(action: HTTPGetAction, container: Container, sandbox: Sandbox) -> tuple[bool, str]:
    host, port = action.host or sandbox.address, _number(action.port, container)
    tls = None
    if action.scheme == "HTTPS":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE  # as the kubelet: a probe asks whether it answers, not who it is
    reader, writer = await _connect(sandbox, host, port, tls)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.32", "Accept": "*/*", "Connection": "close"}
        headers |= {each.name: each.value for each in action.http_headers}
        path = action.path or "/"
        lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items())]
        writer.write("\r\n".join((*lines, "", "")).encode())
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[1].isdigit():
            return False, "the answer is not HTTP"
        code = int(words[1])
        return 200 <= code < 400, f"HTTP probe failed with statuscode: {code}"
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def follow(
    probe: Probe,
    check: Check,
    clock: Clock,
    on_change: Callable[[bool, str], None],
    on_failure: Callable[[str], None],
    *,
    well: bool,
    eager: bool,
) -> None:
    """Check for ever: `on_change` when a threshold is reached that changes `well`, `on_failure` for each failed check.

    `eager`: until it is first well, check often, so that a program that starts quickly need not wait for a whole period.
    """
    await clock.sleep(probe.initial_delay_seconds)
    row = 0
    while True:
        good, why = await check()
        row = 0 if good == well else row + 1
        if not good and not (eager and not well):
            on_failure(why)
        if row >= (probe.success_threshold if good else probe.failure_threshold):
            well, row = good, 0
            eager = eager and not good
            on_change(good, why)
        await clock.sleep(min(_EAGER_SECONDS, probe.period_seconds) if eager and not well else max(1, probe.period_seconds))
