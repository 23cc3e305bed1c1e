"""One pod on this node: its namespaces, volumes and containers from start to end, and its status in the API.

Why in this order: sidecars run first and stop last, so the programs never speak without them; init containers run one after the
other, the containers all at once. Must not know other pods.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import msgspec

from lateen.api.decode import decode_object
from lateen.api.kinds import info_of
from lateen.api.pods import Container, Pod
from lateen.kube.errors import ApiError
from lateen.kube.records import JsonObject, dicts, section
from lateen.local.containers import ContainerRunner, Waiting
from lateen.local.environment import environment, expand, user_of
from lateen.local.informer import Name, name_of
from lateen.local.namespaces import NetNS
from lateen.local.podlogs import ContainerLog, container_log
from lateen.local.podparts import SIDECAR, Placeholder, PodServices, Runner, SidecarRequest, is_gateway
from lateen.local.podstatus import PodView, build_status
from lateen.local.sandbox import Launch
from lateen.local.spawner import SpawnError
from lateen.local.volumes import Places, TokenSource, VolumeError, mounts_of, prepare
from lateen.netfilter.settings import Settings, from_annotations
from lateen.runtime import tasks
from lateen.sources.kubeclient import UnreachableError

__all__ = ["PodRunner"]

_POD = info_of("Pod")
_RETRY_SECONDS = 2.0


class PodRunner:
    """`start` it, `update` it with what the API says, `terminate` it; `ended` is set when nothing of it is left."""

    def __init__(self, pod: JsonObject, services: PodServices, previous: "PodRunner | None" = None) -> None:
        self.name: Name = name_of(pod)
        self.uid = str(section(pod, "metadata").get("uid"))
        self.runners: dict[str, Runner] = {}
        self.sandbox: NetNS | None = None
        self.ended = asyncio.Event()
        self.told = asyncio.Event()  # its status is no other run's any more
        self.ending = False  # the node has decided to end it
        self._raw = pod
        self._services = services
        self._previous = previous
        self._pod = _typed(pod)
        self._old_status = section(pod, "status")
        self._volumes: Mapping[str, Path] = {}
        self._initialized = not any(self._plain_init())
        self._stopping = False
        self._begun = services.clock.now()
        self._changed = asyncio.Event()
        self._seen = asyncio.Event()
        self._restarted = {
            each.name: self._restarts_before(each.name) for each in self._pod.spec.containers + self._pod.spec.init_containers
        }
        # Those that a run of the node before this one had are not started again.
        self._ephemeral: dict[str, Container | None] = {str(each.get("name")): None for each in _ephemeral_of(pod)}
        self._life: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._running: list[asyncio.Task[int]] = []
        everything = (*self._pod.spec.init_containers, *self._pod.spec.containers)
        self._placeholders = {each.name: Placeholder(each, bool(self._plain_init())) for each in everything}

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._changed.set()
        self._writer = tasks.spawn(self._write_status(), name=f"status {self.name}")
        self._life = tasks.spawn(self._live(), name=f"pod {self.name}")

    def update(self, pod: JsonObject) -> None:
        """The API's newer word on it (annotations and labels may change)."""
        self._raw = pod
        with contextlib.suppress(ValueError):
            self._pod = _typed(pod)
        if self._initialized and self.sandbox is not None and not self._stopping:
            self._start_ephemeral()

    async def terminate(self, grace: float, *, drain: bool = True) -> None:
        """Stop the containers, then the sidecars, then remove what is left of the pod; its log files stay."""
        if self._stopping:
            await self.ended.wait()
            return
        self._stopping = True
        until = self._services.clock.monotonic() + grace
        sidecars = [each for each in self.runners.values() if each.name in self._sidecar_names()]
        programs = [each for each in self.runners.values() if each not in sidecars]
        for each in programs:
            self._record("Normal", "Killing", f"Stopping container {each.name}")
        await asyncio.gather(*(each.stop(grace) for each in programs))
        left = max(0.0, until - self._services.clock.monotonic()) if drain else 0.0
        await asyncio.gather(*(each.stop(left) for each in sidecars))
        await tasks.cancel_all(*(each for each in (self._life, *self._running, self._writer) if each))
        await self._remove()

    async def _live(self) -> None:
        if self._previous is not None:
            await self._previous.ended.wait()
            self._previous = None
        if not await self._prepare():
            return
        names = self._sidecar_names()
        everything = (*self._pod.spec.init_containers, *self._pod.spec.containers)
        await asyncio.gather(*(self._start_sidecar(each) for each in everything if each.name in names))
        for each in self._plain_init():
            if not await self._initialize(each):
                return
        self._initialized = True
        self._changed.set()
        programs = [each for each in self._pod.spec.containers if each.name not in names]
        running = [self._run(self._container(each, self._pod.spec.restart_policy)) for each in programs]
        if running:
            await asyncio.gather(*running)
            await self._finish()
        elif self._running:
            await asyncio.gather(*self._running)  # a gateway: the proxy is the program

    async def _prepare(self) -> bool:
        """Namespaces and volumes; tried again until they can be had, or the pod is to end."""
        told = ""
        while not self._stopping:
            try:
                sandbox = self.sandbox or await self._add_pod()
                places = Places(self._services.lasting / self.uid, self._services.private / "volumes" / self.uid)
                self._volumes = await prepare(self._pod, places, sandbox.address, self._fetch, self._token())
            except (SpawnError, VolumeError, ApiError, UnreachableError, OSError, ValueError) as error:
                reason = "FailedMount" if isinstance(error, VolumeError) else "FailedCreatePodSandBox"
                if told != str(error):
                    self._record("Warning", reason, str(error))
                    told = str(error)
                    for holder in self._placeholders.values():
                        holder.state = Waiting("ContainerCreating", told)
                    self._changed.set()
                await self._services.clock.sleep(_RETRY_SECONDS)
            else:
                return True
        return False

    async def _add_pod(self) -> NetNS:
        spec, rules = self._pod.spec, None
        gateway = str(self._services.network.gateway)
        captured = [each for each in (*spec.containers, *spec.init_containers) if each.name == SIDECAR and not is_gateway(each)]
        if captured and self._services.sidecar is not None:
            base = Settings(redirect_dns=True, dns_servers=(gateway,))
            rules, problems = from_annotations(self._pod.metadata.annotations, base)
            for each in problems:
                self._record("Warning", "Interception", each)
        aliases = {str(each.get("ip")): tuple(map(str, _list(each.get("hostnames")))) for each in spec.host_aliases}
        self.sandbox = made = await self._services.network.add_pod(self.name.namespace, self.name.name, rules=rules, aliases=aliases)
        self._changed.set()
        if rules is None:
            await self._services.services.join(made)
        return made

    async def _start_sidecar(self, container: Container) -> None:
        """Start it and wait until it serves: programs must not start before."""
        make = self._services.sidecar
        if container.name != SIDECAR or make is None:
            runner: Runner = self._container(container, "Always")
        else:
            assert self.sandbox is not None  # noqa: S101  (prepared before)
            folder = self._services.private / self.sandbox.link  # short: a Unix socket's path is limited
            folder.mkdir(exist_ok=True)
            runner = make(
                SidecarRequest(
                    pod=self._pod,
                    container=container,
                    sandbox=self.sandbox,
                    folder=folder,
                    mounts=mounts_of(container, self._volumes, {}),
                    log=self._log(container.name),
                    changed=self._changed.set,
                    record=self._record,
                    restarts=self._restarted[container.name],
                )
            )
        self.runners[container.name] = runner
        task = self._run(runner)
        while not task.done() and not (runner.started and (runner.ready or container.name != SIDECAR)):
            await self._next_change()

    def _start_ephemeral(self) -> None:
        """Containers that were added to the pod while it runs; they are started once."""
        for raw in _ephemeral_of(self._raw):
            name = str(raw.get("name"))
            if name in self._ephemeral:
                continue
            try:
                container = msgspec.convert({key: value for key, value in raw.items() if key != "targetContainerName"}, Container)
            except msgspec.ValidationError as error:
                self._record("Warning", "Failed", f"The ephemeral container {name} is not understood: {error}")
                container = None
            self._ephemeral[name] = container
            if container is not None:
                self._running.append(tasks.spawn(self._container(container, "Never").run(), name=f"container {self.name}/{name}"))

    async def _initialize(self, container: Container) -> bool:
        policy = "Never" if self._pod.spec.restart_policy == "Never" else "OnFailure"
        code = await self._run(self._container(container, policy))
        if code:
            await self._stop_sidecars()
            self._changed.set()
        return code == 0 and not self._stopping

    async def _finish(self) -> None:
        """The programs have ended for good."""
        if self._stopping:
            return
        await self._stop_sidecars()
        self._changed.set()

    async def _stop_sidecars(self) -> None:
        names = self._sidecar_names()
        await asyncio.gather(
            *(each.stop(self._pod.spec.termination_grace_period_seconds) for n, each in self.runners.items() if n in names)
        )

    async def _remove(self) -> None:
        for each in self.runners.values():
            each.log.close()
        try:
            if self.sandbox is not None:
                self._services.services.leave(self.sandbox)
                await self._services.network.remove_pod(self.sandbox)
                shutil.rmtree(self._services.private / self.sandbox.link, ignore_errors=True)
                self.sandbox = None
        except SpawnError as error:
            self._record("Warning", "FailedKillPod", str(error))
        finally:
            for folder in (self._services.lasting, self._services.private / "volumes"):
                shutil.rmtree(folder / self.uid, ignore_errors=True)
            self.ended.set()

    # -- containers ------------------------------------------------------------------------------------------------

    def _sidecar_names(self) -> set[str]:
        """What starts first and stops last: the mesh's proxy, and init containers that stay."""
        spec = self._pod.spec
        staying = {each.name for each in spec.init_containers if each.restart_policy == "Always"}
        return staying | {each.name for each in spec.containers if each.name == SIDECAR and self._services.sidecar is not None}

    def _plain_init(self) -> list[Container]:
        return [each for each in self._pod.spec.init_containers if each.restart_policy != "Always"]

    def _run(self, runner: Runner) -> asyncio.Task[int]:
        task = tasks.spawn(runner.run(), name=f"container {self.name}/{runner.name}")
        self._running.append(task)
        return task

    def _container(self, container: Container, policy: str) -> ContainerRunner:
        assert self.sandbox is not None  # noqa: S101  (prepared before)
        runner = ContainerRunner(
            container,
            self.sandbox,
            self._log(container.name),
            partial(self._launch, container),
            restart=policy,
            grace=self._pod.spec.termination_grace_period_seconds,
            title=f"{self.name.name}_{self.name.namespace}",
            changed=self._changed.set,
            record=self._record,
            clock=self._services.clock,
            restarts=self._restarted.get(container.name, 0),
        )
        self.runners[container.name] = runner
        return runner

    def _log(self, container: str) -> ContainerLog:
        return container_log(self._services.logs, *self.name, container, self._services.clock)

    def _restarts_before(self, container: str) -> int:
        """How often it was restarted before: what ran when the node ended is started again."""
        found = [*_list(self._old_status.get("containerStatuses")), *_list(self._old_status.get("initContainerStatuses"))]
        for each in found:
            if isinstance(each, dict) and each.get("name") == container:
                count = each.get("restartCount", 0)
                return int(count) + (1 if each.get("containerID") else 0)
        return 0

    async def _launch(self, container: Container) -> Launch:
        assert self.sandbox is not None  # noqa: S101  (prepared before)
        pod = self._pod
        image_env: Mapping[str, str] = {}
        names = await environment(pod, container, image_env, self.sandbox.address, self._fetch)
        words = [tuple(expand(each, names) for each in part) for part in (container.command, container.args)]
        command = self._services.images.command(container.name, container.image, pod.metadata.annotations, words[0], words[1])
        variables = await environment(pod, container, command.env, self.sandbox.address, self._fetch)
        return Launch(
            argv=command.argv,
            env=variables,
            user=user_of(pod, container),
            cwd=container.working_dir or "/",
            mounts=mounts_of(container, self._volumes, variables),
        )

    async def _fetch(self, kind: str, name: str) -> JsonObject | None:
        try:
            return await self._services.client.get(info_of(kind), name, self.name.namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def _token(self) -> TokenSource:
        return partial(self._services.token, self._pod)

    def _record(self, kind: str, reason: str, message: str) -> None:
        self._services.events.record(self._raw, kind, reason, message)

    # -- status ----------------------------------------------------------------------------------------------------

    async def _next_change(self) -> None:
        changed = self._seen
        await changed.wait()

    async def _write_status(self) -> None:
        last: JsonObject = {}
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._seen.set()
            self._seen = asyncio.Event()
            status = self._status()
            if status == last:
                continue
            try:
                written = await self._services.client.patch_status(_POD, self.name.name, status, self.name.namespace)
            except ApiError as error:
                if error.code == 404:
                    return
                await self._services.clock.sleep(1)
                self._changed.set()
            except UnreachableError:
                await self._services.clock.sleep(1)
                self._changed.set()
            else:
                last = status
                self._old_status = section(written, "status")
            self.told.set()

    def _status(self) -> JsonObject:
        spec = self._pod.spec
        view = PodView(
            uid=self.uid,
            restart_policy=spec.restart_policy,
            address=self.sandbox.address if self.sandbox else "",
            started=self._begun,
            initialized=self._initialized,
            init=[self._view(each) for each in spec.init_containers],
            containers=[self._view(each) for each in spec.containers],
            ephemeral=[self.runners[name] for name in self._ephemeral if name in self.runners],
        )
        return build_status(view, self._old_status, self._services.clock.now())

    def _view(self, container: Container) -> "Runner | Placeholder":
        return self.runners.get(container.name) or self._placeholders[container.name]


def _typed(pod: JsonObject) -> Pod:
    found, problems = decode_object(pod, lenient=True)
    if not isinstance(found, Pod):
        raise ValueError("; ".join(each.message for each in problems))  # noqa: TRY004  (what is wrong is its value)
    return found


def _ephemeral_of(pod: JsonObject) -> list[JsonObject]:
    return dicts(section(pod, "spec").get("ephemeralContainers"))


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []
