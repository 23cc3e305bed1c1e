"""The node: runs the pods that the API gives it, and answers for their logs and for commands inside them.

Why: this is the kubelet of a machine without containers. It knows the API by its client only, so what it runs is what people see
there. What ran when the node ended is started anew, as after a machine's restart. Must not make pods, nor choose which.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError, bad_request, not_found
from lateen.kube.options import LogOptions
from lateen.kube.records import JsonObject, section
from lateen.local.events import Events
from lateen.local.images import Images
from lateen.local.informer import Informer, Name
from lateen.local.namespaces import NodeNetwork
from lateen.local.podexec import start_command
from lateen.local.podlogs import container_log, remove_logs
from lateen.local.podparts import SIDECAR, PodServices, SidecarFactory
from lateen.local.pods import PodRunner
from lateen.local.services import ServiceNetwork
from lateen.local.tokens import Tokens
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock, SystemClock
from lateen.samples.images import inside
from lateen.serve.http_kube.node import ExecSession, TokenHolder
from lateen.sources.kubeclient import KubeClient, UnreachableError
from lateen.util.times import rfc3339

__all__ = ["NODE_NAME", "Node", "NodeFolders"]

NODE_NAME = "local"
_POD, _NODE = info_of("Pod"), info_of("Node")
_PROXY_TOOLS = {"pilot-agent": (sys.executable, "-P", "-m", "lateen.agent.pilotagent")}
_log = log.get("node")
_RETRY_SECONDS = 1.0


class NodeFolders:
    """Where a node keeps what: `data` lasts, `private` is in memory."""

    def __init__(self, data: Path, private: Path) -> None:
        self.logs = data / "logs" / "pods"
        self.lasting = data / "pods"
        self.token_key = data / "service-account-key.pem"
        self.private = private


class Node:
    """`start` it when the API answers; it is also the API's `NodeBackend`."""

    def __init__(
        self,
        client: KubeClient,
        network: NodeNetwork,
        folders: NodeFolders,
        *,
        sidecar: SidecarFactory | None = None,
        images: Images | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._clock = clock or SystemClock()
        self._folders = folders
        self._events = Events(client, self._clock)
        self._network = ServiceNetwork(client, network.rules_tool, str(network.gateway), self._clock)
        self._tokens = Tokens(folders.token_key, self._clock)
        self._services = PodServices(
            client=client,
            network=network,
            images=images or Images(),
            events=self._events,
            clock=self._clock,
            logs=folders.logs,
            lasting=folders.lasting,
            private=folders.private,
            sidecar=sidecar,
            services=self._network,
            token=self._tokens,
        )
        self._informer = Informer(client, "Pod", field_selector=f"spec.nodeName={NODE_NAME}")
        self._informer.listen(self._changed)
        self._pods: dict[str, PodRunner] = {}  # by uid
        self._names: dict[Name, PodRunner] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def pods(self) -> tuple[PodRunner, ...]:
        """The pods that are here."""
        return tuple(self._pods.values())

    async def start(self) -> None:
        """Return once every pod's status is this node's own word, not that of one that ended."""
        self._tokens.check()
        shutil.rmtree(self._folders.lasting, ignore_errors=True)
        for folder in (self._folders.lasting, self._folders.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._events.start()
        await asyncio.gather(self._register(), self._network.start())
        await self._informer.start()
        await asyncio.gather(*(each.told.wait() for each in self._pods.values()))

    async def stop(self, grace: float = 2.0) -> None:
        """End all pods, all at once; their objects stay."""
        self._stopping = True
        await self._informer.stop()
        await asyncio.gather(*(each.terminate(grace, drain=False) for each in self._pods.values()), return_exceptions=True)
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._network.stop()
        await self._events.stop()

    # -- the API's backend -----------------------------------------------------------------------------------------

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """A container's output."""
        runner = self._names.get(Name(namespace, pod))
        found = runner.runners.get(container) if runner else None
        kept = found.log if found is not None else container_log(self._folders.logs, namespace, pod, container, self._clock)
        if options.previous and not kept.previous.exists():
            raise bad_request(f'previous terminated container "{container}" in pod "{pod}" not found')
        if found is None:
            if not kept.there:
                raise bad_request(f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
            options = replace(options, follow=False)
        async for chunk in kept.read(options):
            yield chunk

    async def exec(self, namespace: str, pod: str, container: str, command: Sequence[str], *, tty: bool, stdin: bool) -> ExecSession:
        """Start a command in a container."""
        runner = self._names.get(Name(namespace, pod))
        if runner is None:
            raise not_found(_POD, pod)
        found = runner.runners.get(container)
        if found is None or found.process is None or found.launch is None or runner.sandbox is None:
            raise bad_request(f'container "{container}" in pod "{pod}" does not run')
        tool = _PROXY_TOOLS.get(PurePosixPath(command[0]).name) if container == SIDECAR else None
        known = (*tool, *command[1:]) if tool else inside(found.image, tuple(command))
        return await start_command(runner.sandbox, found.process, found.launch, known, tty=tty, stdin=stdin)

    async def connect(self, namespace: str, pod: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the pod on its loopback, as the kubelet makes it."""
        runner = self._names.get(Name(namespace, pod))
        if runner is None or runner.sandbox is None:
            raise bad_request(f'pod "{pod}" does not run')
        plain = runner.sandbox.socket()
        try:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
            return await asyncio.open_connection(sock=plain)
        except BaseException:
            plain.close()
            raise

    async def token(self, namespace: str, account: str, audiences: Sequence[str], seconds: int) -> tuple[str, int]:
        """A token of a service account."""
        return await self._tokens.of_account(namespace, account, audiences, seconds)

    async def holder(self, token: str) -> TokenHolder:
        """Whose token it is; one that is bound to a pod counts as long as the pod runs."""
        claims = self._tokens.claims(token)
        about = claims["kubernetes.io"]
        pod = about.get("pod", {})
        if pod and pod["uid"] not in self._pods:
            raise ValueError(f"invalid bearer token: its pod {pod['name']} is gone")
        namespace, account = about["namespace"], about["serviceaccount"]["name"]
        return TokenHolder(
            namespace=namespace, account=account, audiences=tuple(claims["aud"]), pod=pod.get("name", ""), uid=pod.get("uid", "")
        )

    # -- pods ------------------------------------------------------------------------------------------------------

    def _changed(self, name: Name, _old: JsonObject | None, new: JsonObject | None) -> None:
        if self._stopping:
            return
        if new is None:
            gone = self._names.get(name)
            if gone is not None:
                self._end(gone, 0.0, delete=False)
            return
        meta = section(new, "metadata")
        runner = self._pods.get(str(meta.get("uid")))
        going = "deletionTimestamp" in meta
        if runner is not None:
            runner.update(new)
            if going:
                grace = meta.get("deletionGracePeriodSeconds")
                self._end(runner, float(grace) if isinstance(grace, int) else 30.0, delete=True)
        elif going:
            self._forget(new)
        elif section(new, "status").get("phase") not in ("Succeeded", "Failed"):
            self._begin(name, new)

    def _begin(self, name: Name, pod: JsonObject) -> None:
        try:
            runner = PodRunner(pod, self._services, self._names.get(name))
        except ValueError as error:
            self._events.record(pod, "Warning", "Failed", f"The pod is not understood: {error}")
            return
        self._pods[runner.uid] = runner
        self._names[name] = runner
        runner.start()

    def _end(self, runner: PodRunner, grace: float, *, delete: bool) -> None:
        if not runner.ending:
            runner.ending = True
            self._spawn(self._terminate(runner, grace, delete=delete), f"end pod {runner.name}")

    async def _terminate(self, runner: PodRunner, grace: float, *, delete: bool) -> None:
        await runner.terminate(grace)
        if self._stopping:
            return
        self._pods.pop(runner.uid, None)
        if self._names.get(runner.name) is runner:
            del self._names[runner.name]
            remove_logs(self._folders.logs, *runner.name)
        if delete:
            await self._delete(runner.name, runner.uid)

    def _forget(self, pod: JsonObject) -> None:
        """A pod that was to go when the node ended, and of which nothing is left."""
        meta = section(pod, "metadata")
        name = Name(str(meta.get("namespace")), str(meta.get("name")))
        remove_logs(self._folders.logs, *name)
        self._spawn(self._delete(name, str(meta.get("uid"))), f"forget pod {name}")

    def _spawn(self, work: Coroutine[object, None, None], title: str) -> None:
        task = tasks.spawn(work, name=title)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _delete(self, name: Name, uid: str) -> None:
        """Take the object away; it may be gone, or its name be another's."""
        while True:
            try:
                await self._client.delete(_POD, name.name, name.namespace, grace=0, uid=uid)
            except ApiError as error:
                if error.code not in (404, 409):
                    _log.warning("a pod's object could not be deleted", pod=str(name), error=str(error))
                return
            except UnreachableError:
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                return

    async def _register(self) -> None:
        """The node's own object."""
        now = rfc3339(self._clock.now())
        labels = {"kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux"}
        try:
            await self._client.create(_NODE, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE_NAME, "labels": labels}})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "pods run as processes of this machine",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {
            "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": NODE_NAME}],
            "nodeInfo": {"kubeletVersion": "v1.32.0", "operatingSystem": "linux", "containerRuntimeVersion": "lateen://1"},
        }
        await self._client.patch_status(_NODE, NODE_NAME, status)
