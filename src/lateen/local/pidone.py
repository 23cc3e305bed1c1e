"""The first process of the node's PID namespace: starts what the node asks for, reaps everything, ends when the node ends.

Why: the kernel kills a whole PID namespace with its first process, so nothing outlives the node; and a process with one
thread and little memory can fork safely and cheaply. Must stay small: no event loop, no imports of the mesh
(docs/decisions/004).
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from lateen.local import syscalls
from lateen.local.launch import perform
from lateen.local.spawnwire import Answer, Exit, Kill, Run, receive, receive_request, send

__all__ = ["PidOne"]

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class PidOne:
    """Serves one node process over `channel` until that process ends."""

    def __init__(self, channel: socket.socket, parent: int) -> None:
        self._channel = channel
        self._parent = parent  # readable when the parent on the host is gone
        self._started: dict[int, int] = {}  # process id -> request id
        self._ended_by: dict[int, int] = {}  # process id -> the signal that SIGKILL stood for
        self._listening = True
        self._node = 0
        self._code: int | None = None

    def run(self, node: Callable[[], int]) -> int:
        """Fork `node`, serve it, and return its exit code (128 and the number of the signal that ended it)."""
        os.umask(0o022)
        wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, self._on_signal)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        self._node = os.fork()
        if not self._node:
            signal.set_wakeup_fd(-1)
            os._exit(_run_node(node))
        while self._code is None:
            channels = [self._channel.fileno()] if self._listening else []
            ready = select.select([wake, self._parent, *channels], [], [])[0]
            if self._parent in ready:
                return 128 + signal.SIGKILL
            if self._channel.fileno() in ready:
                self._serve()
            if wake in ready:
                os.read(wake, 4096)
                self._reap()
        return self._code

    def _on_signal(self, number: int, _frame: object) -> None:
        """Hand signals of the parent on to the node; SIGCHLD only wakes the loop."""
        if number != signal.SIGCHLD and self._node:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._node, number)

    def _serve(self) -> None:
        data, descriptors = receive(self._channel)
        if not data:  # the node closed its end and is about to exit
            self._listening = False
            return
        request = receive_request(data)
        if isinstance(request, Kill):
            self._kill(request)
            return
        try:
            pid = _fork_container(request.beside) if isinstance(request, Run) else os.fork()
        except OSError as error:
            pid = -1
            _refuse(descriptors[0], error)
        if not pid:
            _forget_signals()
            answer = socket.socket(fileno=descriptors[0])
            perform(request, answer, descriptors[1:])
        if isinstance(request, Run) and pid > 0:
            self._started[pid] = request.id
        for each in descriptors:
            os.close(each)

    def _kill(self, request: Kill) -> None:
        for pid, number in self._started.items():
            if number == request.id:
                if request.signal in _ENDING and _takes_default(pid, request.signal):
                    self._ended_by[pid] = request.signal
                    os.kill(pid, signal.SIGKILL)
                    continue
                os.kill(pid, request.signal)
                if request.signal == signal.SIGKILL:
                    _kill_group(pid)

    def _reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            number = self._started.pop(ended.si_pid, None)
            if number is not None:  # a container ends with its first process
                _kill_group(ended.si_pid)
            code = os.waitstatus_to_exitcode(os.waitpid(ended.si_pid, 0)[1])
            stood_for = self._ended_by.pop(ended.si_pid, 0)
            if stood_for and code == -signal.SIGKILL:
                code = -stood_for
            if ended.si_pid == self._node:
                self._code = code if code >= 0 else 128 - code
            elif number is not None:
                with contextlib.suppress(OSError):
                    send(self._channel, Exit(id=number, code=code))


def _fork_container(beside: int) -> int:
    """Fork into a PID namespace of its own, or into that of the process `beside`; this process stays where it is."""
    here = os.pidfd_open(os.getpid())
    try:
        if beside:
            there = os.pidfd_open(beside)
            try:
                syscalls.setns(there, syscalls.CLONE_NEWPID)
            finally:
                os.close(there)
        else:
            syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                syscalls.setns(here, syscalls.CLONE_NEWPID)
        return pid
    finally:
        os.close(here)


def _refuse(answer: int, error: OSError) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(answer)) as channel:
        send(channel, Answer(error=f"The container's processes cannot be kept apart: {error.strerror or error}."))


def _takes_default(pid: int, number: int) -> bool:
    """Whether the signal would end the process, were it not the first of its PID namespace (the kernel drops it there)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigIgn:", "SigCgt:"))]
    return not any(mask >> (number - 1) & 1 for mask in masks)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # no group of its own yet, or nobody left in it
        os.killpg(leader, signal.SIGKILL)


def _run_node(node: Callable[[], int]) -> int:
    _forget_signals()
    return node()


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL)
