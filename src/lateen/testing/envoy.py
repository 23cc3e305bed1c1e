"""A real Envoy fed over our own ADS, in a network namespace of its own: does it accept what we send?

Certificates come from a throw-away CA over SDS, so that clusters and listeners finish warming. Nothing outside the namespace is reachable
and nothing in it can be reached. Must not be used where what Envoy does with a call counts.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lateen.ads.messages import CDS, LDS, Request
from lateen.ads.stream import Stream
from lateen.agent.plan import ENVOY
from lateen.ca.csr import new_request
from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.compile.workloads import place_in
from lateen.model.frame import Snapshot
from lateen.model.scope import Proxy
from lateen.model.secretplan import SecretPlan
from lateen.runtime.clock import SystemClock
from lateen.serve.grpc_ads import AdsService, Send
from lateen.serve.grpc_doors import Door, open_plaintext_door
from lateen.serve.grpc_sds import SdsServer
from lateen.testing.messages import plain, snapshot_messages
from lateen.util.redact import Secret
from lateen.xds.bootstrap import BootstrapPlan, build_bootstrap
from lateen.xds.bootstrapclusters import Pipe
from lateen.xds.bootstrapstats import StatsPlan

__all__ = ["AcceptingEnvoy"]

_PATIENCE = 30.0  # seconds for Envoy to answer everything of one configuration
_GRACE = 0.1
_DAY = 86_400
_STATISTICS = ("cluster.", "filesystem.", "http.", "listener.")
_SECRETS = ("tls_certificate_sds_secret_configs", "validation_context_sds_secret_config")


class _Session:
    """The one stream of the Envoy."""

    def __init__(self, hub: "_Hub", send: Send, *, sotw: bool) -> None:
        self._hub = hub
        self._send = send
        self.stream = Stream(hub.snapshot, sotw=sotw)
        self.refused: list[str] = []

    @property
    def waits(self) -> bool:
        return self.stream.waits

    def on_request(self, request: Request) -> None:
        if request.error is not None:
            self.refused.append(request.error)
        self._send(self.stream.on_request(request))
        self._hub.progress.set()

    def on_patience_over(self) -> None:
        self._send(self.stream.on_patience_over())

    def load(self, snapshot: Snapshot) -> None:
        self.refused.clear()
        self._send(self.stream.on_snapshot(snapshot))

    def close(self) -> None:
        self._hub.session = None
        self._hub.progress.set()


class _Hub:
    """Gives every client the same configuration."""

    def __init__(self) -> None:
        self.snapshot: Snapshot = {}
        self.session: _Session | None = None
        self.progress = asyncio.Event()

    def connect(self, proxy: Proxy, *, sotw: bool, send: Send) -> _Session:
        self.session = _Session(self, send, sotw=sotw)
        return self.session


class AcceptingEnvoy:
    """Start it in `folder` (short: sockets lie there), `load` configurations one after another, stop it.

    `enter`: the command that runs another where Envoy is to run; a new network namespace unless told. With a `zone` (region.zone) it
    stands there and is told of its like.
    """

    def __init__(self, folder: Path, enter: Sequence[str] = (), zone: str = "") -> None:
        self._folder = folder
        self._zone = zone
        self._enter = enter or ("unshare", "--net", *(() if os.getuid() == 0 else ("--map-root-user",)))
        self._hub = _Hub()
        self._door: Door | None = None
        self._signer = Signer(SelfSignedRoot.create("cluster.local", SystemClock().now()))
        self._own = _certificate(self._signer)
        self._names: frozenset[str] = frozenset()
        self._sds = SdsServer(folder / "sds.sock", (os.getuid(), os.getgid()), _certificates(self._own, self._signer, ()))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Servers first, then Envoy; it connects at the first `load`."""
        ads = self._folder / "ads"
        self._door = open_plaintext_door(f"unix:{ads}").serve(AdsService(self._hub, callers=None))
        await self._door.start()
        await self._sds.start()
        place = place_in(self._zone)
        plan = BootstrapPlan(
            node_id="sidecar~10.0.0.1~app.default~default.svc.cluster.local",
            node_cluster="app.default",
            metadata={"NAMESPACE": "default", "NAME": "app"},
            xds=Pipe(str(ads)),
            sds=str(self._folder / "sds.sock"),
            stats=StatsPlan(prefixes=_STATISTICS),
            locality=(place.region, place.zone, place.subzone),
            peers=bool(self._zone),
        )
        bootstrap = self._folder / "bootstrap.pb"
        bootstrap.write_bytes(build_bootstrap(plan))
        with (self._folder / "envoy.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*self._enter, ENVOY, "--config-path", str(bootstrap), "--file-flush-interval-msec", "10"),
                *("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--skip-deprecated-logs"),
                stdout=log,
                stderr=log,
            )

    async def load(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Envoy's refusals of this configuration; TimeoutError with its log where it does not answer."""
        self._names |= _secret_names(snapshot)  # what it was once given stays: Envoy may still ask
        self._sds.update(_certificates(self._own, self._signer, self._names))
        self._hub.snapshot = snapshot
        if self._hub.session is not None:
            self._hub.session.load(snapshot)
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._settled():
                    self._hub.progress.clear()
                    await self._hub.progress.wait()
        except TimeoutError:
            raise TimeoutError(f"Envoy did not answer within {_PATIENCE:g} s: {self.log()[-2000:]}") from None
        session = self._hub.session
        return tuple(session.refused) if session is not None else ()

    def _settled(self) -> bool:
        stream = self._hub.session.stream if self._hub.session is not None else None
        return stream is not None and {CDS, LDS} <= set(stream.types) and all(stream.synced(one) for one in stream.types)

    def own_certificate(self) -> bytes:
        """A certificate chain of the throw-away CA, with its key."""
        chain, key = self._own
        return chain + key.reveal()

    def log(self) -> str:
        """What Envoy wrote."""
        return (self._folder / "envoy.log").read_text(errors="replace")

    async def stop(self) -> None:
        """End Envoy and the servers."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        await self._sds.stop()
        if self._door is not None:
            await self._door.stop(_GRACE)


def _secret_names(snapshot: Snapshot) -> frozenset[str]:
    """Every SDS name that the configuration asks the agent for."""
    messages = (plain(one) for named in snapshot_messages(snapshot).values() for one in named.values())
    return frozenset(name for message in messages for name in _walk(message))


def _walk(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        for one in value:
            yield from _walk(one)
    elif isinstance(value, dict):
        for key, child in value.items():
            if key in _SECRETS:
                yield from (one["name"] for one in (child if isinstance(child, list) else [child]))
            yield from _walk(child)


def _certificate(signer: Signer) -> tuple[bytes, Secret]:
    """A chain and its key."""
    identity = Identity("cluster.local", "default", "app")
    key, request = new_request(identity)
    return b"".join(signer.sign(request, identity, _DAY, SystemClock().now())), key


def _certificates(own: tuple[bytes, Secret], signer: Signer, names: Iterable[str]) -> tuple[SecretPlan, ...]:
    """One certificate under all names; the CA under those of roots."""
    chain, key = own
    roots = {"ROOTCA", *(name for name in names if name.startswith("file-root:") or name.endswith("-cacert"))}
    leaves = {"default", *names} - roots
    return (
        *(SecretPlan(name=name, chain=chain, key=key) for name in sorted(leaves)),
        *(SecretPlan(name=name, root=signer.roots_pem) for name in sorted(roots)),
    )
