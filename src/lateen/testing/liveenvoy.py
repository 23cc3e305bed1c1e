"""One real Envoy and all that it talks to, in a network namespace of its own: what does it do with a call?

It is fed over our own ADS with whole configurations, as they are compiled; servers and clients stand beside it (`yard`). Each call comes
back with what Envoy wrote into its access log of it, where the configuration has the log of `logging_to`. A namespace is made in a
moment, so this is the cheap way to see a configuration act; what needs pods, agents or the command line is `mesh`'s.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig
from lateen.model.frame import Snapshot
from lateen.model.mesh import Settings
from lateen.model.scope import Proxy
from lateen.testing.envoy import AcceptingEnvoy
from lateen.testing.waiting import wait_until
from lateen.testing.world import MemoryWorld
from lateen.testing.yard import Dial, Heard, Server

__all__ = ["GATEWAY", "SIDECAR", "LiveEnvoy", "Logged", "Seen", "logging_to"]

_SECONDS = 30.0
_ADMIN, _PROMETHEUS = 15000, 15090
_FIELDS = {
    "source": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "route": "%ROUTE_NAME%",
    "chain": "%FILTER_CHAIN_NAME%",
    "flags": "%RESPONSE_FLAGS%",
    "code": "%RESPONSE_CODE%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "remote": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "peer": "%DOWNSTREAM_PEER_URI_SAN%",
}
_FORMAT = "\t".join(_FIELDS.values())
_NOTHING = "-"
_FLUSHED = 0.015  # seconds: more than Envoy lets pass before it writes its log
_ADMIN_LISTENER = "listener.admin."
T = TypeVar("T")

SIDECAR = Proxy(id="sidecar", kind="sidecar", namespace="default", name="app", addresses=("10.0.9.9",), labels=(("app", "client"),))
GATEWAY = Proxy(
    id="gateway",
    kind="router",
    namespace="istio-system",
    name="gateway",
    addresses=("10.0.9.8",),
    labels=(("istio", "ingressgateway"),),
)


class Logged(Struct, frozen=True, kw_only=True):
    """An entry of the access log; what Envoy does not know is ""."""

    source: str
    destination: str
    cluster: str
    upstream: str
    route: str
    chain: str
    flags: str
    code: str
    sni: str
    remote: str
    peer: str


class Seen(Struct, frozen=True, kw_only=True):
    """A call from both sides; `log` is None where Envoy logged nothing, as where no filter chain took the connection."""

    heard: Heard
    log: Logged | None


def logging_to(folder: Path, mesh: MeshConfig | None = None) -> MeshConfig:
    """The mesh's settings with an access log that `LiveEnvoy` in `folder` reads."""
    return replace(mesh or MeshConfig(), access_log_file=str(folder / "access.log"), access_log_encoding="TEXT", access_log_format=_FORMAT)


class LiveEnvoy:
    """Start it in a folder with a short name, `hold` a configuration, `call`, stop it; with a `zone` it routes by zones."""

    def __init__(self, folder: Path, zone: str = "") -> None:
        self.folder = folder
        self._zone = zone
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._envoy: AcceptingEnvoy | None = None
        self._yard: subprocess.Popen[str] | None = None
        self._log = folder / "access.log"
        self._read = 0

    def start(self) -> None:
        """The namespace first, then Envoy in it."""
        users = () if os.geteuid() == 0 else ("--map-root-user",)
        self._yard = subprocess.Popen(
            ("unshare", "--net", *users, sys.executable, "-P", "-m", "lateen.testing.yard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))},
        )
        if self._line() != "ready":
            raise AssertionError(f"no network namespace: {self._yard.stderr.read() if self._yard.stderr else ''}")
        self._log.touch()
        enter = ("nsenter", f"--target={self._yard.pid}", *(("--user", "--preserve-credentials") if users else ()), "--net")
        self._envoy = AcceptingEnvoy(self.folder, enter, self._zone)
        self._thread.start()
        self._run(self._envoy.start())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * _SECONDS)

    def _line(self) -> str:
        if self._yard is None or self._yard.stdout is None:
            raise AssertionError("the namespace has not been started")
        return self._yard.stdout.readline().strip()

    def _tell(self, **asked: object) -> Any:  # noqa: ANN401 - JSON
        if self._yard is None or self._yard.stdin is None:
            raise AssertionError("the namespace has not been started")
        print(json.dumps(to_builtins(asked)), file=self._yard.stdin, flush=True)
        return json.loads(self._line())

    def serve(self, *servers: Server) -> list[int]:
        """Start servers beside Envoy, which stay; their ports."""
        return [int(port) for port in self._tell(serve=servers)["ports"]]

    def hold(self, snapshot: Snapshot) -> None:
        """Give Envoy this configuration, and wait until all of it is in force."""
        if self._envoy is None:
            raise AssertionError("Envoy has not been started")
        refused = self._run(self._envoy.load(snapshot))
        if refused:
            raise AssertionError(f"Envoy refused: {refused}")
        wait_until(lambda: self._warming() == 0, seconds=_SECONDS, what="everything is in force", every=0.02)
        self.ask(Dial(port=_PROMETHEUS, target="/stats/prometheus?filter=none"))  # served by the worker, after it took the new listeners

    def world(self, *documents: str, mesh: str = "{}", settings: Settings | None = None) -> MemoryWorld:
        """A world of these objects, whose configurations log to this Envoy's log; `mesh` is MeshConfig."""
        config, problems = decode_message(mesh.encode(), MeshConfig, "mesh")
        if config is None or problems:
            raise AssertionError(problems)
        world = MemoryWorld(settings, mesh=logging_to(self.folder, config))
        for one in documents:
            world.load(one)
        if world.problems:
            raise AssertionError(world.problems)
        return world

    def obey(self, *documents: str, mesh: str = "{}", proxy: Proxy = SIDECAR) -> None:
        """Hold what these objects come to for `proxy`."""
        self.hold(self.world(*documents, mesh=mesh).snapshot(proxy))

    def _warming(self) -> int:
        stats = self.statistics("warming")
        return sum(stats.values()) if stats else -1

    def call(self, *dials: Dial, together: bool = False) -> list[Seen]:
        """Make the calls, one after the other unless `together`, with what Envoy logged of each."""
        heard = self.ask(*dials, together=together)
        logged = self._logged([(one.source, f"{dial.address}:{dial.port}") for dial, one in zip(dials, heard, strict=True)])
        return [Seen(heard=one, log=log) for one, log in zip(heard, logged, strict=True)]

    def ask(self, *dials: Dial, together: bool = False) -> list[Heard]:
        """As `call`, where the log does not matter."""
        return convert(self._tell(calls=dials, together=together)["heard"], list[Heard])

    def statistics(self, pattern: str) -> dict[str, int]:
        """Envoy's counters and gauges whose names match."""
        answer = self.ask(Dial(port=_ADMIN, target=f"/stats?filter={quote(pattern)}"))[0]
        lines = (line.rpartition(": ") for line in answer.body.splitlines())
        return {name: int(value) for name, _, value in lines if value.isdigit()}

    def _logged(self, ends: Sequence[tuple[str, str]]) -> list[Logged | None]:
        """By both ends of the connection, when all are over. A call without an entry got no further than the listener."""
        wanted = {pair for pair in ends if pair[0]}
        found: dict[tuple[str, str], Logged] = {}
        over = 0

        def complete() -> bool:
            nonlocal over
            over = over + 1 if self._written() else 0
            text = self._log.read_text()[self._read :]
            whole = text[: text.rfind("\n") + 1]
            self._read += len(whole)
            found.update({(entry.source, entry.destination): entry for line in whole.splitlines() if (entry := _entry(line)) is not None})
            return wanted <= set(found) or over > 1

        wait_until(complete, seconds=_SECONDS, what="Envoy has logged the calls", every=_FLUSHED)
        return [found.get(pair) for pair in ends]

    def _written(self) -> bool:
        """Whether nothing is under way that could still be logged."""
        seen = self.statistics("(^listener.*downstream_cx_active|write_total_buffered)$")
        own = [value for name, value in seen.items() if not name.startswith(_ADMIN_LISTENER)]
        return bool(own) and not any(own)

    @property
    def certificate(self) -> str:
        """A file with a certificate of the mesh and its key, as a workload has it."""
        if self._envoy is None:
            raise AssertionError("Envoy has not been started")
        file = self.folder / "client.pem"
        file.write_bytes(self._envoy.own_certificate())
        return str(file)

    def log(self) -> str:
        """What Envoy wrote on its standard streams."""
        return self._envoy.log() if self._envoy is not None else ""

    def stop(self) -> None:
        """End Envoy and the namespace."""
        if self._envoy is not None:
            self._run(self._envoy.stop())
        if self._yard is not None:
            self._yard.kill()
            self._yard.communicate()
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_SECONDS)
        self._loop.close()


def _entry(line: str) -> Logged | None:
    parts = [("" if part == _NOTHING else part) for part in line.split("\t")]
    return Logged(**dict(zip(_FIELDS, parts, strict=True))) if len(parts) == len(_FIELDS) else None
