"""The control plane: reads objects from a Kubernetes API or a folder, compiles them, serves xDS, tells refusals on the objects.

Built first, started in order: nothing is served before all kinds have been read once, so that no proxy ever gets half a mesh.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from lateen.ads.fleet import ProxyStatus
from lateen.ads.messages import Nack
from lateen.ads.progress import Progress, progress
from lateen.api.kinds import by_kind
from lateen.api.meshconfig import MeshConfig
from lateen.api.meta import IstioStatus, Key
from lateen.api.objects import Secret as SecretObject
from lateen.ca.signer import Signer
from lateen.ca.spiffe import Identity
from lateen.compile.world import build_world
from lateen.graph import Graph
from lateen.model.mesh import Settings
from lateen.model.module import Module
from lateen.runtime.clock import Clock
from lateen.serve.callers import Callers
from lateen.serve.grpc_ads import AdsService
from lateen.serve.grpc_ca import CertificateService
from lateen.serve.grpc_doors import Door, open_plaintext_door, open_secure_door
from lateen.serve.streamlimits import StreamLimits
from lateen.serve.tlsfront import Identities
from lateen.server.canary import CANARY, Canary
from lateen.server.distributor import Distributor
from lateen.server.goodsecrets import GoodSecrets
from lateen.server.ingest import Ingest, Sources
from lateen.server.jwks import KeySets
from lateen.server.lastgood import LastGood
from lateen.server.metrics import PlaneMetrics
from lateen.server.modules import Modules
from lateen.server.monitoring import Monitoring
from lateen.server.quarantine import Quarantine
from lateen.server.refusals import REJECTED, Refusal, RefusalWriter, refusals_by_owner
from lateen.server.rollout import Rollout, programmed_before
from lateen.server.roots import FurtherRoots
from lateen.server.tokenreview import TokenReviewer
from lateen.server.trialenvoy import Cage
from lateen.sources.jwks import JwksSource
from lateen.sources.outward import Outward
from lateen.sources.wasmmodules import ModuleSource
from lateen.util import collector
from lateen.util.problem import Problem
from lateen.xds.snapshots import Snapshots

__all__ = ["ControlPlane", "Doors", "Sources"]

_GRACE = 0.2  # seconds that open streams get to end
_NOTHING: Mapping[str, object] = MappingProxyType({})


class Doors(Struct, frozen=True, kw_only=True):
    """Where the control plane listens; "" leaves a door shut.

    `identity` is its own certificate, for the secure door; there `signer` answers who asks for certificates. Metrics and debug pages
    are at the addresses `monitoring`, and on a Unix socket for the owner.
    """

    plaintext: str = "127.0.0.1:15010"
    secure: str = ""
    identity: Identities | None = None
    signer: Signer | None = None
    monitoring: tuple[str, ...] = ()
    monitoring_socket: Path | None = None


class ControlPlane:
    """One control plane over its sources; the file `refused` keeps what Envoys refused over restarts.

    The folder `modules` keeps what was fetched for WasmPlugins, over restarts too.
    In `cage` an Envoy tries what users write for Envoy itself; without one it goes to proxies untried.
    """

    def __init__(
        self,
        sources: Sources,
        settings: Settings,
        doors: Doors,
        clock: Clock,
        *,
        refused: Path | None = None,
        cage: Cage | None = None,
        modules: Path | None = None,
        metrics: PlaneMetrics | None = None,
    ) -> None:
        self._client = sources.client
        self._doors = doors
        self._clock = clock
        self._trust_domain = settings.trust_domain
        self.graph = Graph()
        self.world = build_world(self.graph, settings)
        self._canary = Canary(cage, self._tried) if cage is not None else None
        snapshots = Snapshots(self.graph, self.world)
        self.metrics = metrics or PlaneMetrics(clock)
        self.distributor = Distributor(self.graph, self.world, snapshots, self._refusals_changed, self._canary, self.metrics)
        self._status_lock = asyncio.Lock()  # conditions are read and written back: two writers must not do so at once
        self._refusals = RefusalWriter(self._all_refusals, self._write_refusal, clock)
        self._rollout = Rollout(self._progress, self._problems, self._write_conditions, clock)
        self._last_good = LastGood(refused)
        self._good_secrets = GoodSecrets(refused.with_name("secrets.json") if refused is not None else None, self._fall_back)
        self._quarantine = Quarantine(
            self._put,
            self._forget,
            self._refusals.changed,
            clock,
            self._last_good.keep,
        )
        self._ingest = Ingest(
            sources,
            self.world.inputs,
            self._on_mesh,
            settings.root_namespace,
            self._choose,
            self._commit,
            clock,
        )
        outward = Outward()
        keys = JwksSource(outward)
        self._keys = KeySets(keys, self._keep_keys, clock, self.metrics.fetched)
        self._modules = Modules(ModuleSource(outward), self._keep_module, clock, modules)
        self._roots = FurtherRoots(doors.signer, keys, clock) if doors.signer is not None else None
        self._open: list[Door] = []
        rate = settings.streams_per_second
        self._limits = StreamLimits(per_second=rate, at_once=1) if rate else StreamLimits()
        self._monitoring = Monitoring(self.graph, self.world, self.distributor, doors.signer, clock)

    async def start(self) -> None:
        """Read everything, then open the doors."""
        self._quarantine.restore(self._last_good.load())
        self._good_secrets.load()
        await self._ingest.start()
        self._quarantine.started()
        collector.keep()
        if self._canary is not None:
            self._canary.start()
        self._refusals.start()
        self._rollout.start()
        if self._doors.plaintext:
            self._open.append(
                open_plaintext_door(self._doors.plaintext).serve(
                    AdsService(self.distributor, callers=None, sent=self.metrics.sent, limits=self._limits)
                )
            )
        if self._doors.secure and self._doors.identity is not None:
            self._open.append(self._secure(self._doors.secure, self._doors.identity))
        for door in self._open:
            await door.start()
        await self._monitoring.start(self._doors.monitoring, self._doors.monitoring_socket, self._review())

    async def stop(self) -> None:
        """Close the doors, then stop following the API. Proxies keep what they hold."""
        await self._monitoring.stop()
        for door in self._open:
            await door.stop(_GRACE)
        await self._keys.stop()
        await self._modules.stop()
        if self._roots is not None:
            await self._roots.stop()
        if self._canary is not None:
            await self._canary.stop()
        await self._rollout.stop()
        await self._refusals.stop()
        await self._quarantine.stop()
        await self._ingest.stop()

    def proxies(self) -> tuple[ProxyStatus, ...]:
        """Every connected proxy and what it holds."""
        return self.distributor.fleet.status()

    def _secure(self, address: str, identity: Identities) -> Door:
        door = open_secure_door(address, identity)
        callers = Callers(self._trust_domain, door.peer, self._review())
        door.serve(AdsService(self.distributor, callers=callers, sent=self.metrics.sent, limits=self._limits))
        if (signer := self._doors.signer) is None:
            return door

        def sign(csr_pem: bytes, identity: Identity, ttl: float) -> tuple[bytes, ...]:
            return signer.sign(csr_pem, identity, ttl, self._clock.now())

        return door.serve(CertificateService(sign, callers, self.metrics.certificates))

    def _review(self) -> TokenReviewer | None:
        """Only an API can judge tokens."""
        return TokenReviewer(self._client, self._trust_domain) if self._client is not None else None

    def _on_mesh(self, mesh: MeshConfig) -> None:
        self.world.mesh.set((), mesh)
        if self._roots is not None:
            self._roots.want(mesh)

    def _commit(self) -> None:
        self.distributor.commit()
        self._keys.want(self.world.base.jwks_addresses.get(()) or ())
        self._modules.want(self.world.base.wanted_modules())
        self._tell_committed()

    def _tell_committed(self) -> None:
        if not self.distributor.holds_back:
            self._rollout.committed()

    def _keep_keys(self, address: str, keys: str | None) -> None:
        if keys is None:
            self.world.base.jwks.delete(address)
        elif keys != self.world.base.jwks.get(address):
            self.world.base.jwks.set(address, keys)
            self.distributor.commit()

    def _keep_module(self, key: Key, module: Module | None) -> None:
        if module is None:
            self.world.base.modules.delete(key)
            return
        before = self.world.base.modules.get(key)
        if not module.data and before is not None:
            module = replace(module, data=before.data)  # of the object's form before
        if module != before:
            self.world.base.modules.set(key, module)
            self.distributor.commit()

    def _put(self, key: Key, obj: Struct | None) -> None:
        self._ingest.put(key, obj)

    def _refusals_changed(self) -> None:
        self._quarantine.take(self.distributor.nacks())
        self._refusals.changed()

    def _tried(self, refused: tuple[Nack, ...]) -> None:
        """The canary has tried all that was held back: what it refused is set aside, the rest goes on to the proxies."""
        self._quarantine.take((CANARY, nack) for nack in refused)
        self._refusals.changed()
        self.distributor.commit()
        self.distributor.release()
        self._tell_committed()

    def _forget(self, key: Key) -> None:
        self.distributor.taken.forget(key)
        if self._canary is not None:
            self._canary.forget(key)

    def _all_refusals(self) -> Mapping[Key, Refusal]:
        return {**refusals_by_owner(self.distributor.nacks()), **self._quarantine.refused}

    def _fall_back(self, key: Key, secret: SecretObject | None) -> None:
        if secret is None:
            self.world.base.good_secrets.delete(key)
        else:
            self.world.base.good_secrets.set(key, secret)

    def _choose(self, key: Key, obj: Struct | None, generation: int) -> Struct | None:
        if key.kind == "Secret" and (obj is None or isinstance(obj, SecretObject)):
            self._good_secrets.take(key, obj)
        info = by_kind(key.kind)
        self.metrics.changed(key, known=key in self.world.inputs[key.kind], gone=obj is None)
        if obj is None:
            self._rollout.gone(key)
        elif info is not None and info.is_istio and generation and self._client is not None:
            status = getattr(obj, "status", None)
            done = isinstance(status, IstioStatus) and programmed_before(status.conditions, generation)
            self._rollout.staged(key, generation, done=done)
        return self._quarantine.choose(key, obj, generation)

    def _progress(self, wanted: Mapping[Key, int]) -> Mapping[Key, Progress]:
        return progress(self.distributor.fleet.streams(), wanted)

    def _problems(self) -> Iterable[Problem]:
        yield from self._ingest.problems()
        for problems in self.graph.problems().values():
            yield from problems

    async def _write_refusal(self, key: Key, condition: dict[str, object] | None) -> None:
        await self._replace(key, {REJECTED}, () if condition is None else (condition,))

    async def _write_conditions(self, key: Key, conditions: tuple[dict[str, object], ...]) -> None:
        given = self.world.base.registry.given_addresses(key)
        more = {"addresses": [{"value": value, "host": host} for host, value in given]} if given else {}
        await self._replace(key, {str(each["type"]) for each in conditions}, conditions, more)

    async def _replace(
        self, key: Key, types: Collection[str], conditions: tuple[dict[str, object], ...], more: Mapping[str, object] = _NOTHING
    ) -> None:
        """Put these conditions in the place of those of these types, and `more` fields of the status in that of theirs."""
        info = by_kind(key.kind)
        if info is None or self._client is None:
            return
        async with self._status_lock:
            obj = await self._client.get(info, key.name, key.namespace)
            status = obj.get("status")
            present = status.get("conditions", []) if isinstance(status, Mapping) else []
            before = {str(one.get("type")): one for one in present if isinstance(one, Mapping)}
            wanted = [*(one for name, one in before.items() if name not in types), *(_since(one, before) for one in conditions)]
            told = status if isinstance(status, Mapping) else _NOTHING
            if wanted != present or any(told.get(name) != value for name, value in more.items()):
                await self._client.patch_status(info, key.name, {"conditions": wanted, **more}, key.namespace)


def _since(condition: Mapping[str, object], before: Mapping[str, Mapping[str, object]]) -> Mapping[str, object]:
    """The condition, with the time of its last transition: now, unless its status is as it was."""
    known = before.get(str(condition["type"]), {})
    same = known.get("status") == condition["status"] and "lastTransitionTime" in known
    return {**condition, "lastTransitionTime": known["lastTransitionTime"]} if same else condition
