"""What the node process asks of the first process of its PID namespace, and what comes back.

Why messages: processes are started by a small process with one thread, so that no fork ever happens in the node's many.
One request is one packet of JSON with the file descriptors it speaks of; the first of these is a socket for the answer.
"""

import array
import errno
import socket
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from lateen.local.mounts import View

__all__ = [
    "Answer",
    "Clear",
    "Exit",
    "Kill",
    "MakePod",
    "MakeView",
    "Mount",
    "Request",
    "Run",
    "User",
    "pair",
    "receive",
    "receive_answer",
    "receive_exit",
    "receive_request",
    "send",
]

_PACKET = 400_000  # bytes; as much as an unprivileged sender may have under way


class Mount(Struct, frozen=True, kw_only=True):
    """A folder or file of the node shown to one process at `target`."""

    source: str
    target: str
    read_only: bool = False


class User(Struct, frozen=True, kw_only=True):
    """Whom a process runs as, and the capabilities (`NET_ADMIN`, ...) it has; none unless named."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    capabilities: tuple[str, ...] = ()


class Run(Struct, frozen=True, kw_only=True, tag=True):
    """Start a program in a pod. Descriptors: answer, stdin, stdout, stderr, network, mounts and host name of the pod."""

    id: int
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: User
    mounts: tuple[Mount, ...] = ()
    terminal: bool = False
    beside: int = 0  # a process whose mounts are used instead of the pod's


class MakeView(Struct, frozen=True, kw_only=True, tag=True):
    """Build the root that all pods' are copies of, at an empty folder. Descriptors: answer."""

    view: View
    stage: str


class MakePod(Struct, frozen=True, kw_only=True, tag=True):
    """Make a pod's namespaces. Descriptors: answer, root made by `MakeView`."""

    hostname: str
    link: str
    bridge: str
    address: str
    gateway: str
    files: dict[str, str]
    rules: str = ""
    rules_command: tuple[str, ...] = ()
    tproxy: tuple[int, int] | None = None  # mark, routing table
    keep_at: str


class Clear(Struct, frozen=True, kw_only=True, tag=True):
    """Kill what still runs in a pod and remove its link. Descriptors: answer, network namespace."""

    link: str
    kept_at: str


class Kill(Struct, frozen=True, kw_only=True, tag=True):
    """Send a signal to the process started by the `Run` of that id, if it still lives; SIGKILL goes to its group."""

    id: int
    signal: int


Request = Run | MakeView | MakePod | Clear | Kill
_REQUESTS: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


class Answer(Struct, frozen=True, kw_only=True):
    """The end of a request: a process id, or descriptors, or a sentence saying what failed."""

    error: str = ""
    pid: int = 0


class Exit(Struct, frozen=True, kw_only=True):
    """A process started by the `Run` of that id has ended; negative numbers are signals."""

    id: int
    code: int


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a channel that keeps packets whole."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for each in ends:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PACKET)
    return ends


def send(channel: socket.socket, message: Struct, descriptors: Sequence[int] = ()) -> None:
    """Send one message; ValueError when it is longer than a packet may be."""
    data = msgspec.json.encode(message)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    try:
        channel.sendmsg([data], rights)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        raise ValueError(f"A request of {len(data)} bytes is too long: shorten the environment and the arguments.") from None


def receive(channel: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """One packet and its descriptors (closed on exec); no bytes when the other end is closed."""
    data, ancillary, _, _ = channel.recvmsg(1 << 20, socket.CMSG_SPACE(64), socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, tuple(descriptors)


def receive_request(data: bytes) -> Request:
    """The request in a packet."""
    return _REQUESTS.decode(data)


def receive_answer(data: bytes) -> Answer:
    """The answer in a packet; an empty packet is the end of a process that gave none."""
    return msgspec.json.decode(data, type=Answer) if data else Answer(error="The process that was to do it ended without a word.")


def receive_exit(data: bytes) -> Exit:
    """The notice in a packet."""
    return msgspec.json.decode(data, type=Exit)
