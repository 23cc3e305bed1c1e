"""What containers print, kept per container in the data folder, and read back: of the present run and of the one before it.

Why a pipe and not the file itself as standard output: a file that is full is put aside while the program runs on, whoever
follows a log hears of new text at once, and lines have their times. Must not interpret what is printed.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from lateen.kube.options import LogOptions
from lateen.local.logrecords import LogView, records
from lateen.runtime.clock import Clock

__all__ = ["ContainerLog", "container_log", "remove_logs"]

_LARGEST = 10 * 1024 * 1024
_CHUNK = 65536


def _folder(logs: Path, namespace: str, pod: str) -> Path:
    """Where a pod's logs are."""
    return logs / namespace / pod


def remove_logs(logs: Path, namespace: str, pod: str) -> None:
    """Forget a pod that is gone."""
    shutil.rmtree(_folder(logs, namespace, pod), ignore_errors=True)


def container_log(logs: Path, namespace: str, pod: str, container: str, clock: Clock) -> "ContainerLog":
    """The log of a pod's container."""
    return ContainerLog(_folder(logs, namespace, pod) / f"{container}.log", clock)


class ContainerLog:
    """One container's log; each run has a file and, when that was full, an older one."""

    def __init__(self, path: Path, clock: Clock, *, largest: int = _LARGEST) -> None:
        self._path = path
        self._clock = clock
        self._largest = largest
        self._file = -1
        self._size = 0
        self._reader = -1
        self._news = asyncio.Event()
        self._over = False

    @property
    def there(self) -> bool:
        """Whether there has been a run."""
        return self._path.exists()

    @property
    def older(self) -> Path:
        """The file that was full."""
        return _older(self._path)

    @property
    def previous(self) -> Path:
        """The file of the run before the present one."""
        return self._path.with_suffix(".previous.log")

    def pipe(self) -> int:
        """A descriptor for a new run to print to, the caller's to close after it has been given to a program; ends the pipe before it."""
        self.drain()
        self._put_by()
        self._open()
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        self._reader = reader
        asyncio.get_running_loop().add_reader(reader, self._readable)
        return writer

    def say(self, line: str) -> None:
        """A line of the node's own."""
        self._open()
        self._write(f"{line}\n".encode())

    def drain(self) -> None:
        """Take what is still in the pipe, and close it."""
        while self._reader >= 0 and self._readable():
            pass
        self._close_reader()

    def close(self) -> None:
        """No more will come."""
        self.drain()
        self._over = True
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._wake()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """The text that is there, then with `follow` what comes, until the log is closed. FileNotFoundError: there was no run before."""
        view = LogView(options)
        if options.previous:
            data = self.previous.read_bytes()
            older = _older(self.previous)
            yield view.begin((older.read_bytes() if older.exists() else b"") + data)
            return
        present = self._present()
        try:
            older_text = self.older.read_bytes() if self.older.exists() else b""
            if text := view.begin(older_text + present.read()):
                yield text
            while options.follow and not view.full:
                news = self._news
                while chunk := present.read(_CHUNK):
                    yield view.more(chunk)
                if self._over:
                    return
                if self._put_aside(present.fileno()):
                    present.close()
                    present = self._present()
                    continue
                await news.wait()
        finally:
            present.close()

    def _present(self) -> BinaryIO:
        return self._path.open("rb") if self._path.exists() else BytesIO() if self._over else self._made()

    def _made(self) -> BinaryIO:
        """The file of a program that has not said anything yet."""
        self._open()
        return self._path.open("rb")

    def _put_aside(self, descriptor: int) -> bool:
        return not self._path.exists() or self._path.stat().st_ino != os.fstat(descriptor).st_ino

    def _put_by(self) -> None:
        """The files of the last run become those of the run before."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if not self._path.exists():
            return
        _older(self.previous).unlink(missing_ok=True)
        if self.older.exists():
            self.older.replace(_older(self.previous))
        self._path.replace(self.previous)

    def _open(self) -> None:
        self._over = False
        if self._file < 0:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._file).st_size

    def _readable(self) -> bool:
        try:
            data = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close_reader()
            return False
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        data = records(data, self._clock.now())
        if self._size and self._size + len(data) > self._largest:
            os.close(self._file)
            self._path.replace(self.older)
            self._file = -1
            self._open()
        try:
            os.write(self._file, data)
        except OSError:
            return  # a full disk must not end the mesh: the text is lost
        self._size += len(data)
        self._wake()

    def _close_reader(self) -> None:
        if self._reader >= 0:
            asyncio.get_running_loop().remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")
