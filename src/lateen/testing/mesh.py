"""A whole mesh for tests: `lateen up` in a data folder of its own, used as a person uses it, by the command line and over its ports.

Nothing here looks inside the mesh except `node_pid`, for tests that listen on the wire. Every wait has a limit. Must not be used by
the product.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lateen.runtime.clock import SystemClock
from lateen.testing.waiting import wait_until

__all__ = ["ACTS_WITHIN", "GATEWAY", "Ask", "Mesh", "Object", "Ran", "Reply", "descendants", "free_port", "kill_in", "obstacles"]

GATEWAY = "istio-ingressgateway.istio-system"
ACTS_WITHIN = 1.0  # seconds in which a change acts on new requests, counted from the end of `apply`
_UP_SECONDS, _COMMAND_SECONDS, _CALL_SECONDS = 120.0, 30.0, 20.0
T = TypeVar("T")
Object = dict[str, Any]  # as the API gives it


class Ask(NamedTuple):
    """A request; `headers` are "name:value"."""

    url: str
    method: str = "GET"
    headers: tuple[str, ...] = ()


class Reply(NamedTuple):
    """An answer over HTTP; status 0: there was none, and `body` says why. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str
    seconds: float

    def json(self) -> Object:
        """The body, which must be a JSON object."""
        found = json.loads(self.body)
        assert isinstance(found, dict), found  # noqa: S101
        return found


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def free_port() -> int:
    """A TCP port of the host's loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def obstacles() -> str:
    """What keeps a mesh from running on this machine, in preflight's own sentences; "" when nothing does."""
    code = f"from pathlib import Path; from lateen.local.preflight import examine; print(*examine(Path({sys.executable!r})).problems)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
    return ran.stdout.strip()


class Mesh:
    """`up` it, use it, `down` it. `data` is its data folder; `ports` says where the ports of the gateway's Service are on the host."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ports = {port: free_port() for port in (80, 443, 31400)}
        self.changed_at = 0.0
        self._clock = SystemClock()

    # -- the command line ------------------------------------------------------------------------------------------

    def run(self, *arguments: str, seconds: float = _COMMAND_SECONDS, text: str | None = None) -> Ran:
        """`lateen ARGUMENTS` on this mesh's data folder; `text` is its standard input."""
        command = [str(Path(sys.executable).with_name("lateen")), *arguments]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LATEEN_DATA_DIR": str(self.data), "HOME": str(Path.home())}
        ran = subprocess.run(command, input=text or "", env=environment, capture_output=True, text=True, timeout=seconds, check=False)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def must(self, *arguments: str, seconds: float = _COMMAND_SECONDS, text: str | None = None) -> str:
        """As `run`; its standard output. A failure is an AssertionError with all that the command said."""
        ran = self.run(*arguments, seconds=seconds, text=text)
        assert ran.code == 0, f"lateen {' '.join(arguments)} ended with {ran.code}:\n{ran.out}{ran.err}"  # noqa: S101
        return ran.out

    def up(self, *files: Path, wait: bool = True) -> None:
        """Start it in the background; with `wait` everything is ready when this returns."""
        published = [f"--publish={host}:{GATEWAY}:{port}" for port, host in self.ports.items()]
        waiting = ["--wait"] if wait else []
        self.must("up", *map(str, files), "--detach", *waiting, f"--data-dir={self.data}", *published, seconds=_UP_SECONDS)

    def down(self) -> Ran:
        """End it and forget everything."""
        return self.run("down", "--purge", f"--data-dir={self.data}", seconds=60)

    def apply(self, *sources: Path | str) -> None:
        """Apply files and texts. From the end of this on the change has `ACTS_WITHIN` seconds to act."""
        for source in sources:
            file, text = (str(source), None) if isinstance(source, Path) else ("-", source)
            self.must("apply", "-f", file, text=text)
        self.changed_at = self._clock.monotonic()

    def delete(self, *sources: Path | str) -> None:
        """Delete the objects of files and texts, where they are still there."""
        for source in sources:
            file, text = (str(source), None) if isinstance(source, Path) else ("-", source)
            ran = self.run("delete", "-f", file, text=text)
            failed = [line for line in ran.err.splitlines() if not line.endswith("not found")]
            assert ran.code == 0 or not failed, f"lateen delete -f {file} ended with {ran.code}:\n{ran.out}{ran.err}"  # noqa: S101
        self.changed_at = self._clock.monotonic()

    @contextmanager
    def applied(self, *sources: Path | str) -> Iterator[None]:
        """The objects are there, and act, inside the block; they are gone after it."""
        self.apply(*sources)
        try:
            self.settle()
            yield
        finally:
            self.delete(*sources)
            self.settle()

    @contextmanager
    def in_force(self, *sources: Path | str, clients: Sequence[str] = ("curl", "sleep"), url: str) -> Iterator[None]:
        """As `applied`, for policies of the server of `url`; what `clients` have of older connections to it, which drain, is used up."""

        def last_calls() -> None:
            for client in clients:
                self.call_from(self.pod(client), url, times=3)

        with self.applied(*sources):
            last_calls()
            yield
        last_calls()

    def objects(self, kind: str, namespace: str = "default") -> list[Object]:
        """The API's objects of a kind."""
        found = json.loads(self.must("get", kind, "-n", namespace, "-o", "json"))
        items: list[Object] = found["items"]
        return items

    def conditions(self, kind: str, name: str) -> dict[str, tuple[str, str]]:
        """The conditions of an object in `default`: status and message by type."""
        found = json.loads(self.must("get", kind, name, "-o", "json")).get("status", {}).get("conditions", ())
        return {each["type"]: (each["status"], each["message"]) for each in found}

    def pod(self, app: str, namespace: str = "default", **labels: str) -> str:
        """The name of the one running pod with that `app` label (and the other labels)."""
        wanted = {"app": app, **labels}
        names = [
            _text(pod, "metadata", "name")
            for pod in self.objects("pods", namespace)
            if all(_text(pod, "metadata", "labels", key) == value for key, value in wanted.items())
            and not _text(pod, "metadata", "deletionTimestamp")
        ]
        assert len(names) == 1, f"{len(names)} pods have the labels {wanted}"  # noqa: S101
        return names[0]

    def ready(self, app: str, namespace: str = "default", *, without: str = "") -> bool:
        """Whether there is a ready pod with that `app` label, other than `without`."""
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for pod in self.objects("pods", namespace)
            if _text(pod, "metadata", "labels", "app") == app and _text(pod, "metadata", "name") != without
            for condition in pod.get("status", {}).get("conditions", ())
        )

    def pod_address(self, app: str, namespace: str = "default", **labels: str) -> str:
        """The address of that pod."""
        name = self.pod(app, namespace, **labels)
        return next(_text(pod, "status", "podIP") for pod in self.objects("pods", namespace) if _text(pod, "metadata", "name") == name)

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(
        self,
        path: str,
        *,
        host: str = "",
        headers: Mapping[str, str] | None = None,
        port: int = 80,
        tls: ssl.SSLContext | None = None,
        method: str = "GET",
        body: str | None = None,
    ) -> Reply:
        """A request from the host to the gateway's `port`; with `tls`, `host` is asked for in the handshake too."""
        started = self._clock.monotonic()
        fields = {**({"Host": host} if host else {}), **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=_CALL_SECONDS)
        try:
            connection.connect()
            if tls is not None:
                connection.sock = tls.wrap_socket(connection.sock, server_hostname=host)
            connection.request(method, path, body=body, headers=fields)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
            said = {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            return Reply(0, {}, f"{type(error).__name__}: {error}", self._clock.monotonic() - started)
        finally:
            connection.close()
        return Reply(answer.status, said, text, self._clock.monotonic() - started)

    def call_from(
        self, pod: str, url: str, *, namespace: str = "default", times: int = 1, method: str = "GET", headers: Sequence[str] = ()
    ) -> list[Reply]:
        """Requests from inside a pod, one after the other, each on a connection of its own; `headers` are "name:value"."""
        return self.calls_from(pod, [Ask(url, method, tuple(headers))] * times, namespace=namespace)

    def calls_from(self, pod: str, asks: Sequence[Ask], *, namespace: str = "default") -> list[Reply]:
        """These requests from inside a pod, one after the other, each on a connection of its own."""
        requests = [(ask.url, ask.method, [field.split(":", 1) for field in ask.headers]) for ask in asks]
        said = self.exec(pod, sys.executable, "-P", "-m", "lateen.testing.podcall", json.dumps(requests), namespace=namespace)
        return [Reply(**answer) for answer in json.loads(said)]

    def exec(self, pod: str, *command: str, namespace: str = "default") -> str:
        """What a command in a pod prints; it must end with 0."""
        return self.must("exec", pod, "-n", namespace, "--", *command, seconds=60)

    @contextmanager
    def talking(self, pod: str, script: str, *, namespace: str = "default") -> Iterator[Callable[[str], str]]:
        """A Python program in a pod that answers each line it reads with one; call what this gives for an answer."""
        command = [str(Path(sys.executable).with_name("lateen")), "exec", "-i", pod, "-n", namespace, "--", "python3", "-u", "-c", script]
        environment = {"PATH": "/usr/bin:/bin", "LATEEN_DATA_DIR": str(self.data), "HOME": str(Path.home())}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as talker:
            said, told = talker.stdin, talker.stdout
            assert said is not None and told is not None  # noqa: S101, PT018

            def ask(line: str) -> str:
                print(line, file=said, flush=True)
                return told.readline().strip()

            try:
                yield ask
            finally:
                said.close()
                try:
                    talker.wait(_COMMAND_SECONDS)
                finally:
                    talker.kill()

    def sign_in(self, user: str) -> dict[str, str]:
        """The header fields of a browser in which that user has signed in to the product page."""
        answer = self.call(
            "/login", method="POST", body=f"username={user}&passwd=", headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status == 302, answer  # noqa: S101
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    def gather(self, call: Callable[[], T], count: int, *, at_once: int = 8) -> list[T]:
        """`count` calls, several at once."""
        with ThreadPoolExecutor(at_once) as pool:
            return [future.result(_UP_SECONDS) for future in [pool.submit(call) for _ in range(count)]]

    # -- waiting ---------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the time pass in which the last change may take effect; meanwhile the product page must go on answering."""

        def over() -> bool:
            answer = self.call("/api/v1/products")
            assert answer.status == 200, f"A change must never take traffic down: {answer}"  # noqa: S101
            return self._clock.monotonic() - self.changed_at >= ACTS_WITHIN

        wait_until(over, seconds=ACTS_WITHIN + _CALL_SECONDS, what="the change has had its time")

    def seconds_until(self, condition: Callable[[], bool], *, what: str, limit: float = 10.0) -> float:
        """How long after the last change the condition came true."""
        wait_until(condition, seconds=limit, what=what, every=0.01)
        return self._clock.monotonic() - self.changed_at

    # -- the wire --------------------------------------------------------------------------------------------------

    def node_pid(self) -> int:
        """A process in the node's network, found among the descendants of the process that the lock names."""
        found = [pid for pid in self.processes() if "lateen0:" in _read(Path(f"/proc/{pid}/net/dev"))]
        assert found, "No process of the mesh has the bridge lateen0"  # noqa: S101
        return found[0]

    def parent_pid(self) -> int:
        """The process that the lock names: what `lateen up` became."""
        return int(json.loads((self.data / "lock").read_text())["pid"])

    def processes(self) -> dict[int, list[str]]:
        """The processes of the mesh and their command lines: the one that the lock names, and its descendants."""
        parent = self.parent_pid()
        return {pid: _read(Path(f"/proc/{pid}/cmdline")).split("\0") for pid in (parent, *descendants(parent))}

    def end_process(self, pod: str, what: str, *, namespace: str = "default") -> int:
        """Kill the pod's processes whose command line holds `what`, from outside the node as a crash would; how many."""
        here = self.exec(pod, "readlink", "/proc/self/ns/net", namespace=namespace).strip()
        return kill_in(here, self.parent_pid(), what)

    @contextmanager
    def listening(self, link: str = "lateen0") -> Iterator[dict[str, bytes]]:
        """Everything TCP that crosses the link inside the block; to be read after it: "FROM:PORT>TO:PORT" to bytes."""
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]  # the node's users, where it has its own
        inside = [
            "nsenter",
            f"--target={self.node_pid()}",
            *users,
            "--net",
            "--",
            sys.executable,
            "-P",
            "-m",
            "lateen.testing.capture",
            link,
        ]
        seen: dict[str, bytes] = {}
        with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
            try:
                assert listener.stdout is not None  # noqa: S101
                assert listener.stdout.readline() == "ready\n"  # noqa: S101
                yield seen
                said, _ = listener.communicate(timeout=_COMMAND_SECONDS)
                seen.update({way: bytes.fromhex(payload) for way, payload in json.loads(said).items()})
            finally:
                listener.kill()


def _text(obj: object, *path: str) -> str:
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return obj if isinstance(obj, str) else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def kill_in(network: str, parent: int, what: str) -> int:
    """Kill the descendants of `parent` in that network namespace whose command line holds `what`; how many."""
    killed = 0
    for pid in descendants(parent):
        with suppress(OSError):
            if what in _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ") and str(Path(f"/proc/{pid}/ns/net").readlink()) == network:
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that these started."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        for child in _read(task / "children").split():
            yield int(child)
            yield from descendants(int(child))
