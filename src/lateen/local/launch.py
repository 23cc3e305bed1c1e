"""What a forked child of the first process does: become a container's program, or make or clear a pod's namespaces.

Why a child for each: entering namespaces changes a process for good, and each is a few milliseconds of kernel work that
pods should not wait for one after the other. Must not touch anything outside the node's own namespaces.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import NoReturn

from lateen.local import mounts, syscalls
from lateen.local.netlink import Netlink
from lateen.local.spawnwire import Answer, Clear, MakePod, MakeView, Request, Run, User, send

__all__ = ["LaunchError", "perform"]

_CLEAR_SECONDS = 5.0


class LaunchError(Exception):
    """A sentence for the person whose pod does not start."""


def perform(request: Request, answer: socket.socket, descriptors: tuple[int, ...]) -> NoReturn:
    """Do in this forked process what the request asks, answer, and never return."""
    try:
        match request:
            case Run():
                _become(request, answer, descriptors)
            case MakeView():
                made = _make_view(request)
            case MakePod():
                made = _make_pod(request, *descriptors)
            case _:
                assert isinstance(request, Clear)  # noqa: S101  (the first process answers Kill itself)
                made = _clear(request, *descriptors)
        send(answer, Answer(pid=os.getpid()), made)
        os._exit(0)
    except (LaunchError, OSError, ValueError) as error:
        send(answer, Answer(error=str(error) if isinstance(error, LaunchError) else f"{type(error).__name__}: {error}"))
    finally:
        os._exit(127)


@contextlib.contextmanager
def _doing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LaunchError(f"{what}: {error.strerror or error}.") from error


# A container's program


def _become(run: Run, answer: socket.socket, descriptors: tuple[int, ...]) -> NoReturn:
    stdin, stdout, stderr, network, view, hostname = descriptors
    os.setsid()
    pid = int(Path("/proc/self").readlink().name)  # as the node sees it: its own /proc is still the one here
    trees = []
    for each in run.mounts:
        with _doing(f"The volume {each.source} cannot be mounted at {each.target}"):
            trees.append(syscalls.clone_mount(Path(each.source)))
    with _doing("The pod's namespaces cannot be entered"):
        mounts_of = os.open(f"/proc/{run.beside}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC) if run.beside else view
        syscalls.setns(network, syscalls.CLONE_NEWNET)
        syscalls.setns(hostname, syscalls.CLONE_NEWUTS)
        syscalls.setns(mounts_of, syscalls.CLONE_NEWNS)
    if not run.beside:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        with _doing("The container's own /proc cannot be mounted"):
            syscalls.mount("proc", Path("/proc"), "proc")
    if run.mounts:
        _add_volumes(run, trees)
    for number, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, number, inheritable=True)
    if run.terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    _reset_signals()
    _become_user(run.user)
    with _doing(f"The working directory {run.cwd} cannot be entered"):
        os.chdir(run.cwd)
    # Told before the exec: the channel closes with it, and only a second word means that it failed.
    send(answer, Answer(pid=pid))
    path = run.env.get("PATH", os.defpath)
    try:
        os.execvpe(run.argv[0], run.argv, run.env)  # noqa: S606  (an argument list, no shell)
    except FileNotFoundError:
        raise LaunchError(f"There is no program {run.argv[0]} in the pod (PATH is {path}).") from None
    except OSError as error:
        raise LaunchError(f"The program {run.argv[0]} cannot be run: {error.strerror}.") from error


def _add_volumes(run: Run, trees: list[int]) -> None:
    syscalls.remount(Path("/"), read_only=False, recursive=False)
    for each, tree in zip(run.mounts, trees, strict=True):
        with _doing(f"The volume {each.source} cannot be mounted at {each.target}"):
            mounts.add_volume(tree, Path(each.target), read_only=each.read_only)
        os.close(tree)
    syscalls.remount(Path("/"), read_only=True, recursive=False)


def _reset_signals() -> None:
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _become_user(user: User) -> None:
    unknown = [name for name in user.capabilities if name not in syscalls.CAPABILITIES]
    if unknown:
        raise LaunchError(f"The capability {unknown[0]} is not one a pod may have here ({', '.join(syscalls.CAPABILITIES)}).")
    keep = frozenset(syscalls.CAPABILITIES[name] for name in user.capabilities)
    syscalls.drop_capabilities(keep)
    syscalls.keep_capabilities()
    outside = f"User {user.uid}, group {user.gid} cannot be used: they are outside the range this mesh has (see /etc/subuid)"
    with _doing(outside):
        os.setgroups(user.groups)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    syscalls.set_capabilities(keep)
    syscalls.no_new_privileges()


# A pod's namespaces


def _make_view(request: MakeView) -> list[int]:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    with _doing("The file system that pods see cannot be made"):
        mounts.build_root(request.view, Path(request.stage))
    return [os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)]


def _make_pod(pod: MakePod, view: int) -> list[int]:
    with Netlink() as node:
        syscalls.unshare(syscalls.CLONE_NEWNET | syscalls.CLONE_NEWUTS)
        network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        hostname = os.open("/proc/self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
        with _doing(f"The pod's link {pod.link} cannot be made"):
            node.add_veth(pod.link, bridge=pod.bridge, peer="eth0", namespace=network)
    syscalls.set_hostname(pod.hostname)
    with Netlink() as here, _doing("The pod's network cannot be configured"):
        _configure(here, pod)
    Path(pod.keep_at).touch()
    syscalls.bind(Path("/proc/self/ns/net"), Path(pod.keep_at))
    syscalls.setns(view, syscalls.CLONE_NEWNS)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    with _doing("The pod's own folders cannot be made"):
        _own_folders(pod)
    _load_rules(pod)  # in the pod's own /run: iptables keeps a lock file there
    return [network, os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), hostname]


def _configure(here: Netlink, pod: MakePod) -> None:
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    no_ipv6 = Path("/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
    if no_ipv6.exists():  # the rules are for IPv4: nothing may leave by another way
        no_ipv6.write_text("1")
    here.up("lo")
    here.add_address("eth0", IPv4Interface(pod.address))
    here.up("eth0")
    here.add_default_route(IPv4Address(pod.gateway))
    if pod.tproxy:
        here.deliver_marked(*pod.tproxy)


def _load_rules(pod: MakePod) -> None:
    if not pod.rules:
        return
    with _doing(f"The interception rules cannot be loaded with {pod.rules_command[0]}"):
        done = subprocess.run(pod.rules_command, input=pod.rules, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[:500]
        raise LaunchError(f"{pod.rules_command[0]} refused the pod's interception rules: {said}")


def _own_folders(pod: MakePod) -> None:
    syscalls.remount(Path("/"), read_only=False, recursive=False)
    mounts.regrow(Path("/run"))
    for folder in mounts.EVERYBODYS:
        if folder.is_dir():
            mounts.regrow(folder, 0o1777)
    own = Path("/run/lateen-pod")
    own.mkdir()
    for path, text in pod.files.items():
        source = own / Path(path).name
        source.write_text(text)
        mounts.add_volume(syscalls.clone_mount(source), Path(path), read_only=True)
    syscalls.remount(Path("/"), read_only=True, recursive=False)


# The end of a pod


def _clear(request: Clear, *network: int) -> list[int]:
    for each in network:
        _kill_all_in(os.fstat(each).st_ino)
    with contextlib.suppress(OSError):
        syscalls.detach(Path(request.kept_at))
        Path(request.kept_at).unlink()
    with contextlib.suppress(OSError), Netlink() as node:
        node.delete(request.link)
    return []


def _kill_all_in(inode: int) -> None:
    """Kill every process of that network namespace and wait until none is left; what they start meanwhile as well."""
    while found := [pid for pid in (int(each.name) for each in Path("/proc").glob("[0-9]*")) if _network_of(pid) == inode]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    if not select.select([handle], [], [], _CLEAR_SECONDS)[0]:
                        raise LaunchError(f"Process {pid} of the pod did not end within {_CLEAR_SECONDS:.0f} s of being killed.")
                finally:
                    os.close(handle)


def _network_of(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return 0
