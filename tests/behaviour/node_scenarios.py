"""Programs that tests/behaviour/test_namespaces.py runs: each is the main function of a node and prints what it saw as JSON.

They are run as `python node_scenarios.py NAME RUN_DIR [ARGUMENT]`, as a node must be started by a process with one thread.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from lateen.local import syscalls
from lateen.local.mounts import Exposed, View, needed_trees, regrow
from lateen.local.namespaces import NetNS, NodeNetwork
from lateen.local.publish import Publication, Relay
from lateen.local.spawner import Mount, Process, Spawner, SpawnError, User
from lateen.local.userns import NodeContext, run_node
from lateen.netfilter.settings import Settings

APP = User(uid=1000, gid=1000)
PROXY = User(uid=1337, gid=1337)
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
ARGUMENT = sys.argv[3] if len(sys.argv) > 3 else ""
TOOLS = {"iptables": "/usr/sbin/iptables-restore", "nft": "/usr/sbin/nft"}
CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s:
    print(s.makefile().read(), end='')
"""
ASK = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect((sys.argv[1], 53))
    s.send(b'name?')
    print(s.recv(99).decode(), end='')
"""
LISTEN = (
    "import socket; s = socket.create_server(('0.0.0.0', 80)); print('bound', flush=True); c, _ = s.accept(); c.send(b'hello'); c.close()"
)
STATUS = "import os; print(open('/proc/self/status').read(), os.getsid(0) == os.getpid())"


class Node:
    """What every scenario starts with."""

    def __init__(
        self, context: NodeContext, *, tool: str = "iptables", exposed: tuple[Exposed, ...] = (), hidden: tuple[str, ...] = ()
    ) -> None:
        self.context = context
        self.spawner = Spawner(context.channel)
        view = View(exposed=(*needed_trees(), *exposed), hidden=hidden)
        self.network = NodeNetwork(self.spawner, private=context.private, rules_tool=TOOLS[tool], view=view)

    async def start(self) -> "Node":
        self.spawner.start()
        await self.network.start()
        return self

    async def program(self, pod: NetNS, argv: list[str], user: User = APP, **more: Any) -> tuple[Process, int]:
        """Start a program; the process and the end of the pipe with its output."""
        reader, writer = os.pipe()
        try:
            return await pod.popen(argv, env=ENV, user=user, stdout=writer, stderr=writer, **more), reader
        finally:
            os.close(writer)

    async def output(self, pod: NetNS, argv: list[str], user: User = APP, **more: Any) -> str:
        """What a program prints, up to its end."""
        process, reader = await self.program(pod, argv, user, **more)
        text = await asyncio.to_thread(_read, reader)
        await process.wait()
        return text

    async def python(self, pod: NetNS, code: str, *arguments: str, user: User = APP, **more: Any) -> str:
        return await self.output(pod, [sys.executable, "-c", code, *arguments], user, **more)


def _read(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.read()


def tell(line: str) -> None:
    """A line for the test that runs this program."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say(pod: NetNS, port: int) -> None:
    """Have the pod answer each connection to the port with the port and the address the caller wanted."""
    listener = pod.socket(bind=("0.0.0.0", port), listen=8)

    async def answer() -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            try:
                raw = connection.getsockopt(socket.SOL_IP, 80, 16)  # SO_ORIGINAL_DST
                wanted = f"{socket.inet_ntoa(raw[4:8])}:{struct.unpack('!H', raw[2:4])[0]}"
            except OSError:  # a pod whose connections nobody tracks
                wanted = "untracked"
            await loop.sock_sendall(connection, f"{port} {wanted}".encode())
            connection.close()

    asyncio.get_running_loop().create_task(answer()).set_name(f"{port}")


async def two_pods(context: NodeContext) -> Any:
    """Names, addresses, users and a TCP connection between pods, from the node, and a low port for a user."""
    node = await Node(context).start()
    one = await node.network.add_pod("default", "one", aliases={"10.1.1.1": ["db", "db.local"]})
    two = await node.network.add_pod("shop", "two", nameservers=["10.96.0.10"])
    process, reader = await node.program(two, [sys.executable, "-c", LISTEN])
    listening = await asyncio.to_thread(os.read, reader, 5)
    seen = {
        "listening": listening.decode(),
        "hello": await node.python(one, CALL, two.address, "80"),
        "code": await process.wait(),
        "addresses": [one.address, two.address],
        "hostname": await node.output(one, ["hostname"]),
        "hosts": await node.output(one, ["cat", "/etc/hosts"]),
        "resolv": [await node.output(pod, ["cat", "/etc/resolv.conf"]) for pod in (one, two)],
        "id": await node.output(one, ["id"], User(uid=1337, gid=7, groups=(7, 8))),
        "status": await node.python(one, STATUS),
        "root": await node.python(one, STATUS, user=User(uid=0, gid=0)),
        "network": await node.output(one, ["grep", "Cap", "/proc/self/status"], User(uid=1337, gid=1337, capabilities=("NET_ADMIN",))),
        "links": await one.run(lambda: sorted(name for _, name in socket.if_nameindex())),
    }
    say(one, 7)
    async with asyncio.timeout(5):
        stream, writer = await asyncio.open_connection(one.address, 7)
        seen["from node"] = (await stream.read()).decode()
    writer.close()
    return seen


async def volumes(context: NodeContext) -> Any:
    """Folders and files shown at any path, to one process only, and nothing made on the machine."""
    node = await Node(context).start()
    pod = await node.network.add_pod("default", "one")
    source = context.private / "volume"
    source.mkdir()
    (source / "file").write_text("content")
    source.chmod(0o777)
    places = ["/data/deep", "/etc/istio/proxy", "/var/run/secrets/tokens", "/usr/lib/lateen-test", "/opt/lateen-test"]
    mounts = [*(Mount(source=str(source), target=place) for place in places), Mount(source=str(source / "file"), target="/etc/issue")]
    mounts.append(Mount(source=str(source), target="/read-only", read_only=True))
    read = " ".join(f"{place}/file" for place in places)
    return {
        "read": await node.output(pod, ["sh", "-c", f"cat {read} /etc/issue"], mounts=mounts),
        "write": await node.output(pod, ["sh", "-c", "echo x > /data/deep/new; echo x > /read-only/other"], mounts=mounts),
        "written": sorted(each.name for each in source.iterdir()),
        "etc stays": await node.output(pod, ["sh", "-c", "test -s /etc/passwd && ls /etc | wc -l"], mounts=mounts),
        "etc": await node.output(pod, ["sh", "-c", "ls /etc | wc -l"]),
        "elsewhere": await node.output(pod, ["sh", "-c", "ls /etc/istio /data/deep /usr/lib/lateen-test 2>&-"]),
        "beside": await _beside(node, pod, mounts),
        "host": await asyncio.to_thread(lambda: [place for place in [*places, "/read-only"] if Path(place).exists()]),
        "machine": await node.output(
            pod, ["sh", "-c", "touch /etc/x /usr/x /x /root/x; touch /tmp/x /run/x /dev/shm/x"], User(uid=0, gid=0)
        ),
    }


async def _beside(node: Node, pod: NetNS, mounts: list[Mount]) -> str:
    """A program started beside another one sees that one's volumes."""
    process, reader = await node.program(pod, ["sleep", "1000"], mounts=mounts)
    seen = await node.output(pod, ["cat", "/data/deep/file"], beside=process)
    await process.kill()
    os.close(reader)
    return f"{seen} {await process.wait()}"


async def private_home(context: NodeContext) -> Any:
    """Of a private home pods see the needed tree and nothing else; of the mesh's own folders nothing."""
    home = Path(ARGUMENT)
    node = await Node(context, exposed=(Exposed(path=str(home / "link/tree")),), hidden=(str(home / "real/tree/hidden"),)).start()
    pod = await node.network.add_pod("default", "one")
    volume = context.private / "volume"
    await asyncio.to_thread(volume.mkdir, 0o777)
    above = [Mount(source=str(volume), target=str(home.parent), read_only=read_only) for read_only in (False, True)]
    return {
        "program": await node.output(pod, [str(home / "link/tree/program")], PROXY),
        "below a volume": [await node.output(pod, [str(home / "real/tree/program")], PROXY, mounts=[each]) for each in above],
        "volume": await node.output(pod, ["ls", str(home.parent)], PROXY, mounts=above[:1]),
        "seen": await node.output(pod, ["find", str(home)], PROXY),
        "root": await node.output(
            pod, ["sh", "-c", f"cat {home}/secret {home}/real/secret; ls {home}/real/tree/hidden"], User(uid=0, gid=0)
        ),
        "homes": await node.output(pod, ["ls", "-A", "/home"], User(uid=0, gid=0)),
    }


async def private_folders(context: NodeContext) -> Any:
    """Private folders of the machine on the way to a needed tree: here under /srv and in everybody's folders."""
    programs = []
    for folder in (Path("/srv"), Path("/var/tmp"), Path("/dev/shm")):
        syscalls.mount("test", folder, "tmpfs")  # in this node's namespaces only
        tree = folder / "private" / "tree"
        programs.append(tree / "program")
        await asyncio.to_thread(_make_program, programs[-1])
    run_dir = context.private.parent
    trees = [*(each.parent for each in programs), run_dir]
    node = await Node(context, exposed=tuple(Exposed(path=str(each)) for each in trees)).start()
    pod = await node.network.add_pod("default", "one")
    return {
        "programs": [await node.output(pod, [str(each)], PROXY) for each in programs],
        "seen": [await node.output(pod, ["ls", str(each.parents[1])], PROXY) for each in programs],
        "run": await node.output(pod, ["ls", "-A", str(run_dir)], User(uid=0, gid=0)),
        "shared": [await node.output(pod, ["ls", str(each.parents[2])], PROXY) for each in programs[1:]],
    }


async def resolved(context: NodeContext) -> Any:
    """A machine whose /etc/resolv.conf is systemd-resolved's, a symbolic link into /run."""
    await asyncio.to_thread(_link_resolv_conf)
    node = await Node(context).start()
    pod = await node.network.add_pod("default", "one")
    return await node.output(pod, ["cat", "/etc/resolv.conf"])


def _link_resolv_conf() -> None:
    file = Path("/etc/resolv.conf")
    regrow(file.parent)  # in this node's namespaces only
    syscalls.detach(file)
    file.unlink()
    file.symlink_to("../run/systemd/resolve/stub-resolv.conf")


def _make_program(program: Path) -> None:
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho ran as $(id -u)\n")
    program.chmod(0o755)
    private = program.parents[1]
    (private / "secret").write_text("secret")
    (private.parent / "others").write_text("of other users of the machine")
    private.chmod(0o700)


async def interception(context: NodeContext) -> Any:
    """Where connections of apps and of the proxy arrive, and DNS."""
    node = await Node(context, tool=ARGUMENT).start()
    settings = Settings(redirect_dns=True, capture_all_dns=True, excluded_outbound_ports=("3306",))
    pod = await node.network.add_pod("default", "meshed", rules=settings)
    plain = await node.network.add_pod("default", "plain")
    for port in (15001, 15006, 15021, 9080):
        say(pod, port)
    for port in (9080, 3306):
        say(plain, port)
    names = pod.socket(kind=socket.SOCK_DGRAM, bind=("127.0.0.1", 15053), owner=(1337, 1337))
    names.settimeout(10)
    answer = asyncio.ensure_future(node.python(pod, ASK, "10.96.0.10"))
    data, client = await asyncio.to_thread(names.recvfrom, 99)
    names.sendto(b"answer to " + data, client)
    return {
        "to a service": await node.python(pod, CALL, "10.96.0.99", "80"),
        "to a pod": await node.python(pod, CALL, plain.address, "9080"),
        "proxy to a pod": await node.python(pod, CALL, plain.address, "9080", user=PROXY),
        "excluded": await node.python(pod, CALL, plain.address, "3306"),
        "to itself by loopback": await node.python(pod, CALL, "127.0.0.1", "9080"),
        "proxy to its own address": await node.python(pod, CALL, pod.address, "9080", user=PROXY),
        "inbound": await node.python(plain, CALL, pod.address, "9080"),
        "inbound health": await node.python(plain, CALL, pod.address, "15021"),
        "dns": await answer,
        "pod": pod.address,
        "plain": plain.address,
    }


async def tproxy(context: NodeContext) -> Any:
    """A connection to a pod with TPROXY: who called, and whom, as the sidecar sees it."""
    node = await Node(context, tool=ARGUMENT).start()
    pod = await node.network.add_pod("default", "meshed", rules=Settings(mode="TPROXY"))
    plain = await node.network.add_pod("default", "plain")
    sidecar = pod.socket(owner=(1337, 1337))
    sidecar.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
    sidecar.bind(("0.0.0.0", 15006))
    sidecar.listen(8)
    calling = asyncio.ensure_future(node.python(plain, CALL, pod.address, "9080"))
    connection, client = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(sidecar), 10)
    wanted = connection.getsockname()
    await asyncio.get_running_loop().sock_sendall(connection, b"hello")
    connection.close()
    return {"client": client[0], "wanted": wanted, "said": await calling, "pods": [pod.address, plain.address]}


async def published(context: NodeContext) -> Any:
    """Relays connections of the host to a pod; ends when told to."""
    node = await Node(context).start()
    pod = await node.network.add_pod("default", "web")
    say(pod, 8080)
    relay = Relay(context.listeners[0], Publication(service="web", port=8080, host_port=0), lambda: (pod.address, 8080))
    await relay.start()
    tell(json.dumps(context.listeners[0].getsockname()))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await relay.stop()
    return "ended"


async def errors(context: NodeContext) -> Any:
    """Everything that can be wrong with a program is a sentence, and the pod goes on."""
    node = await Node(context).start()
    pod = await node.network.add_pod("default", "one")
    said: list[str] = []
    wrong: list[dict[str, Any]] = [
        {"argv": ["no-such-program"]},
        {"argv": ["/etc/passwd"]},
        {"argv": ["true"], "cwd": "/nowhere"},
        {"argv": ["true"], "mounts": [Mount(source="/nowhere", target="/x")]},
        {"argv": ["true"], "user": User(uid=0, gid=0, capabilities=("SYS_MODULE",))},
        {"argv": ["true", "x" * 2_000_000]},
    ]
    for each in wrong:
        try:
            await pod.popen(**{"env": ENV, "user": APP, **each})
        except SpawnError as error:
            said.append(str(error))
    try:
        await node.network.add_pod("default", "bad", rules=Settings(excluded_outbound_ports=("nonsense",)))
    except SpawnError as error:
        said.append(str(error))
    return {"said": said, "after": await node.output(pod, ["echo", "fine"]), "links": sorted(name for _, name in socket.if_nameindex())}


async def removal(context: NodeContext) -> Any:
    """Nothing of a pod is left, whatever its programs tried; signals and exit codes are told."""
    node = await Node(context).start()
    pod = await node.network.add_pod("default", "one")
    ended, reader = await node.program(pod, ["sh", "-c", "sleep 1234 & exit 3"])
    os.close(reader)
    stray, reader = await node.program(pod, ["sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & echo; exec sleep 1000"])
    os.read(reader, 1)
    stubborn = await pod.popen(["sh", "-c", "trap '' TERM; while :; do sleep 1000; done"], env=ENV, user=APP)
    gentle = await pod.popen(["sleep", "1000"], env=ENV, user=APP)
    await gentle.terminate()
    codes = [await ended.wait(), await gentle.wait()]
    orphans = await asyncio.to_thread(lambda: [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")])
    await gentle.terminate()  # long gone
    during = sorted(name for _, name in socket.if_nameindex())
    await node.network.remove_pod(pod)
    codes += [await stray.wait(), await stubborn.wait()]
    again = await node.network.add_pod("default", "one")
    commands = await asyncio.to_thread(lambda: [path.read_text() for path in Path("/proc").glob("[0-9]*/comm")])
    return {
        "codes": codes,
        "orphans": orphans.count(b"sleep\x001234\x00"),
        "during": during,
        "sleeping": commands.count("sleep\n"),
        "addresses": [pod.address, again.address],
        "kept": sorted(each.name for each in (context.private / "netns").iterdir()),
        "links": sorted(name for _, name in socket.if_nameindex()),
    }


async def crowd(context: NodeContext) -> Any:
    """Four pods with programs, said when they run; then nothing."""
    node = await Node(context).start()
    pods = await asyncio.gather(*(node.network.add_pod("default", f"pod-{number}", rules=Settings()) for number in range(4)))
    for pod in pods:
        await pod.popen(["sleep", ARGUMENT], env=ENV, user=PROXY)
    tell("running")
    await asyncio.Event().wait()


async def deaf(_context: NodeContext) -> Any:
    """A node that does not hear signals."""
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, lambda: tell("deaf"))
    tell("running")
    await asyncio.Event().wait()


def main() -> int:
    scenario: Callable[[NodeContext], Awaitable[Any]] = globals()[sys.argv[1]]

    async def whole(context: NodeContext) -> None:
        tell(json.dumps(await scenario(context)))

    def node(context: NodeContext) -> int:
        uvloop.run(whole(context))
        return 7

    return run_node(node, [socket.create_server(("127.0.0.1", 0))], run_dir=Path(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
