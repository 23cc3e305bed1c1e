"""The node's network and its pods' namespaces.

Why: each pod has a network of its own, joined to the others by a bridge inside the node's namespaces, and sees its own
host name, files and volumes. `NodeNetwork` makes and removes pods' namespaces; `NetNS` is one pod's: run something, open a
socket or start a program in it. Must not know containers, probes or Deployments.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import TypeVar

from lateen.local import syscalls
from lateen.local.mounts import View
from lateen.local.netlink import Netlink
from lateen.local.spawner import Mount, Process, Spawner, SpawnError, User
from lateen.local.spawnwire import MakePod
from lateen.netfilter.render import loading
from lateen.netfilter.rules import build
from lateen.netfilter.settings import Settings
from lateen.runtime import tasks

__all__ = ["BRIDGE", "POD_RANGE", "NetNS", "NodeNetwork", "free_range", "host_ranges"]

BRIDGE = "lateen0"
POD_RANGE = IPv4Network("10.177.0.0/16")
SEARCH_DOMAINS = ("svc.cluster.local", "cluster.local")
T = TypeVar("T")


def free_range(wanted: IPv4Network, taken: Sequence[IPv4Network]) -> IPv4Network:
    """`wanted`, or the next range of 10.0.0.0/8 of the same size that overlaps none of `taken`; ValueError when there is none."""
    ranges = list(IPv4Network("10.0.0.0/8").subnets(new_prefix=wanted.prefixlen))
    start = ranges.index(wanted) if wanted in ranges else 0
    for each in (wanted, *ranges[start:], *ranges[:start]):
        if not any(each.overlaps(other) for other in taken):
            return each
    raise ValueError(f"Every range of 10.0.0.0/8 with the size of {wanted} is taken by a route of this machine.")


def host_ranges(routes: str | None = None) -> list[IPv4Network]:
    """The ranges this machine has routes to (its default route aside), from the text of /proc/net/route."""
    lines = (Path("/proc/net/route").read_text() if routes is None else routes).splitlines()[1:]
    found = []
    for fields in map(str.split, lines):
        address, mask = (IPv4Address(int.from_bytes(bytes.fromhex(fields[at]), "little")) for at in (1, 7))
        if int(mask):
            found.append(IPv4Network(f"{address}/{mask}", strict=False))
    return found


@contextlib.contextmanager
def _inside(network: int, home: int) -> Iterator[None]:
    """This thread is in another network namespace meanwhile; nothing may be awaited there."""
    syscalls.setns(network, syscalls.CLONE_NEWNET)
    try:
        yield
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)


@contextlib.contextmanager
def _as_owner(owner: tuple[int, int] | None) -> Iterator[None]:
    """Sockets that this thread makes meanwhile count as that user's and group's."""
    if owner:
        syscalls.set_file_owner(*owner)
    try:
        yield
    finally:
        if owner:
            syscalls.set_file_owner(0, 0)


class NetNS:
    """One pod's namespaces. `name` is `lateen-<namespace>-<pod>`, `address` the pod's IP."""

    def __init__(self, spawner: Spawner, name: str, address: IPv4Address, link: str, namespaces: tuple[int, ...], home: int) -> None:
        self._spawner = spawner
        self._namespaces = namespaces
        self._home = home
        self.name = name
        self.address = str(address)
        self.link = link

    @property
    def network(self) -> int:
        """The descriptor of the network namespace."""
        return self._namespaces[0]

    async def run(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread that is in the pod's network namespace, and return what it returns."""

        def there() -> T:
            with _inside(self.network, self._home):
                return function()

        return await asyncio.to_thread(there)

    def socket(
        self,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_STREAM,
        *,
        bind: tuple[str, int] | None = None,
        listen: int = 0,
        owner: tuple[int, int] | None = None,
    ) -> socket.socket:
        """A non-blocking socket in the pod's network for this process's event loop; bound and listening when asked.

        A socket stays in the network where it was made: connecting it or accepting on it happens in the pod. `owner` is the
        user and group whose the socket counts as for interception rules: sockets that act for the sidecar need (1337, 1337).
        Its DNS server also needs the address 127.0.0.1, not 0.0.0.0: answers are matched with questions by where they come from.
        """
        with _inside(self.network, self._home), _as_owner(owner):
            made = socket.socket(family, kind | socket.SOCK_CLOEXEC)
        try:
            made.setblocking(False)
            if bind:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind(bind)
            if listen:
                made.listen(listen)
        except OSError:
            made.close()
            raise
        return made

    async def popen(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        user: User,
        cwd: str = "/",
        mounts: Sequence[Mount] = (),
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        terminal: bool = False,
        beside: Process | None = None,
    ) -> Process:
        """Start a program in the pod; returns when it runs. SpawnError says in a sentence why it does not.

        It sees the machine's programs read-only, its own /tmp, /run, /etc/hosts and /etc/resolv.conf, and `mounts`; it runs
        as `user`, leads a session and process group of its own, and can gain no privileges. `argv[0]` is looked up in the
        PATH of `env`. `stdin`, `stdout` and `stderr` are file descriptors (None: /dev/null) and stay the caller's to close.
        `terminal` makes stdin its controlling terminal. `beside` gives it the mounts of a process that runs in this pod
        instead of `mounts`, as `exec` needs.
        """
        return await self._spawner.run(
            argv, self._namespaces, env=env, user=user, cwd=cwd, mounts=mounts, stdin=stdin, stdout=stdout, stderr=stderr,
            terminal=terminal, beside=beside,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the namespaces; `NodeNetwork.remove_pod` does this."""
        for each in self._namespaces:
            os.close(each)
        self._namespaces = ()


class NodeNetwork:
    """The bridge of the node process's network namespace and the pods on it.

    `rules_tool` is the path of `iptables-restore` or of `nft`; `private` a folder in memory (`NodeContext.private`), which pods
    do not see, nor the folder it is in; `view` should hide the mesh's data folder from them as well.
    """

    def __init__(self, spawner: Spawner, *, private: Path, rules_tool: str, view: View, pod_range: IPv4Network = POD_RANGE) -> None:
        self._spawner = spawner
        self._private = private
        self.rules_tool = rules_tool
        self._asked_view = View(exposed=view.exposed, hidden=(*view.hidden, str(private.parent)))
        self._view = -1
        self._home = -1
        self._used: dict[IPv4Address, str] = {}
        self._next = 0
        self.pod_range = pod_range
        self.gateway = pod_range[1]

    async def start(self) -> None:
        """Make the bridge, with the first address of the range, and the root of pods' file system."""
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with Netlink() as here:
            here.up("lo")
            here.add_bridge(BRIDGE, b"\x02\x00" + self.gateway.packed)  # locally administered
            here.add_address(BRIDGE, IPv4Interface(f"{self.gateway}/{self.pod_range.prefixlen}"))
        for name in ("netns", "root"):
            (self._private / name).mkdir(mode=0o700)
        self._view = await self._spawner.make_view(self._asked_view, str(self._private / "root"))

    async def add_pod(
        self,
        namespace: str,
        name: str,
        *,
        rules: Settings | None = None,
        nameservers: Sequence[str] = (),
        aliases: Mapping[str, Sequence[str]] | None = None,
    ) -> NetNS:
        """Make a pod's namespaces; `rules` intercepts its traffic. SpawnError says in a sentence why that failed.

        `nameservers` default to the node's address on the bridge; `aliases` (address to names) are more lines of /etc/hosts.
        """
        address = self._take_address(f"{namespace}/{name}")
        command, text = loading(self.rules_tool, build(rules)) if rules else ((), "")
        offset = int(address) - int(self.pod_range[0])
        pod = MakePod(
            hostname=name,
            link=f"lateen-{offset}",
            bridge=BRIDGE,
            address=f"{address}/{self.pod_range.prefixlen}",
            gateway=str(self.gateway),
            files={
                "/etc/hostname": f"{name}\n",
                "/etc/hosts": _hosts(str(address), name, aliases or {}),
                "/etc/resolv.conf": _resolv_conf(nameservers or (str(self.gateway),), namespace),
            },
            rules=text,
            rules_command=command,
            tproxy=(rules.tproxy_mark, rules.tproxy_table) if rules and rules.mode == "TPROXY" else None,
            keep_at=str(self._private / "netns" / f"lateen-{namespace}-{name}"),
        )
        making = tasks.spawn(self._spawner.make_pod(pod, self._view), name=f"make pod {namespace}/{name}")
        try:
            namespaces = await asyncio.shield(making)
        except BaseException:
            await asyncio.wait([making])
            if not making.exception():
                for each in making.result():
                    os.close(each)
            await self._spawner.clear(pod.link, pod.keep_at, None)
            self._used.pop(address)
            raise
        return NetNS(self._spawner, f"lateen-{namespace}-{name}", address, pod.link, namespaces, self._home)

    async def remove_pod(self, pod: NetNS) -> None:
        """Kill whatever still runs in the pod and remove its namespaces, link and address."""
        await self._spawner.clear(pod.link, str(self._private / "netns" / pod.name), pod.network)
        pod.close()
        self._used.pop(IPv4Address(pod.address), None)

    def _take_address(self, pod: str) -> IPv4Address:
        """The next address after the last one given, so that none is used again soon."""
        size = self.pod_range.num_addresses - 3  # neither the network's, the bridge's nor the broadcast address
        for _ in range(size):
            address = self.pod_range[2 + self._next]
            self._next = (self._next + 1) % size
            if address not in self._used:
                self._used[address] = pod
                return address
        raise SpawnError(f"All addresses of {self.pod_range} are taken: there is none for pod {pod}.")


def _hosts(address: str, name: str, aliases: Mapping[str, Sequence[str]]) -> str:
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", f"{address}\t{name}"]
    lines += ["\t".join((each, *names)) for each, names in aliases.items()]
    return "\n".join(lines) + "\n"


def _resolv_conf(nameservers: Sequence[str], namespace: str) -> str:
    search = " ".join((f"{namespace}.svc.cluster.local", *SEARCH_DOMAINS))
    return "".join(f"nameserver {each}\n" for each in nameservers) + f"search {search}\noptions ndots:5\n"
