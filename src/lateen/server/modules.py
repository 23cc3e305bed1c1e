"""Keeps WebAssembly modules that users name by an address in the graph: fetched when an object first names one, and kept in files.

A module that was fetched stays in force while a newer one cannot be had, and over a restart; a file that nothing names for a day is
removed. Must not decide which modules are wanted.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from lateen.api.meta import Key
from lateen.ca.rotation import retry_delay
from lateen.model.module import Module, ModuleRef, WantedModule
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock

__all__ = ["Modules"]

_EXPIRY = 24 * 3600.0  # seconds without use
_FIRST_FAILURE = 1.0  # seconds; the first retries come fast elsewhere, here a server is given time
_log = log.get("modules")


class Source(Protocol):
    """Fetches; ValueError says why not."""

    async def fetch(self, wanted: WantedModule) -> bytes: ...


class Modules:
    """One task for each object that wants a module; `tell` is given what there is for it, None when it wants none any more."""

    def __init__(self, source: Source, tell: Callable[[Key, Module | None], None], clock: Clock, folder: Path | None = None) -> None:
        self._source = source
        self._tell = tell
        self._clock = clock
        self._folder = folder
        self._following: dict[Key, tuple[WantedModule, asyncio.Task[None]]] = {}

    def want(self, wanted: Mapping[Key, WantedModule]) -> None:
        """Have these modules and no others."""
        for key, (before, task) in tuple(self._following.items()):
            if wanted.get(key) != before:
                task.cancel()
                del self._following[key]
                self._touch(before.ref)
                if key not in wanted:
                    self._tell(key, None)
        new = {key: one for key, one in wanted.items() if key not in self._following}
        for key, one in new.items():
            self._following[key] = one, tasks.spawn(self._have(key, one), name=f"module of {key.namespace}/{key.name}")
        if new:
            self._expire()

    async def stop(self) -> None:
        """Fetch nothing any more."""
        await tasks.cancel_all(*(task for _, task in self._following.values()))

    async def _have(self, key: Key, wanted: WantedModule) -> None:
        ref = wanted.ref
        kept = self._read(ref)
        if kept and not ref.pull:
            self._tell(key, Module(ref=ref, data=kept))
            return
        failures = 0
        while True:
            try:
                data = await self._source.fetch(wanted)
            except ValueError as error:
                failures += 1
                _log.warning("module not fetched", kind=key.kind, namespace=key.namespace, name=key.name, reason=str(error))
                self._tell(key, Module(ref=ref, data=kept, failure=str(error)))
                await self._clock.sleep(_FIRST_FAILURE + retry_delay(failures))
            else:
                self._write(ref, data)
                self._tell(key, Module(ref=ref, data=data))
                return

    # Files

    def _file(self, ref: ModuleRef) -> Path | None:
        """Of an address opened by a secret others cannot have the file without it."""
        name = hashlib.sha256(f"{ref.url}\n{ref.sha256}\n{ref.secret}".encode()).hexdigest()
        return self._folder / f"{name}.wasm" if self._folder is not None else None

    def _read(self, ref: ModuleRef) -> bytes:
        file = self._file(ref)
        try:
            return file.read_bytes() if file is not None else b""
        except OSError:
            return b""

    def _write(self, ref: ModuleRef, data: bytes) -> None:
        file = self._file(ref)
        if file is None:
            return
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            half = file.with_suffix(".part")
            half.write_bytes(data)
            half.replace(file)
            self._touch(ref)
        except OSError as error:
            _log.warning("module not kept for a restart", file=str(file), reason=str(error))

    def _touch(self, ref: ModuleRef) -> None:
        now = self._clock.now()
        if (file := self._file(ref)) is not None:
            with contextlib.suppress(OSError):
                os.utime(file, (now, now))

    def _expire(self) -> None:
        """Remove what has not been used for long; what is in use counts as used now."""
        if self._folder is None or not self._folder.is_dir():
            return
        used = {self._file(wanted.ref) for wanted, _ in self._following.values()}
        for file in self._folder.glob("*.wasm"):
            with contextlib.suppress(OSError):
                if file not in used and self._clock.now() - file.stat().st_mtime > _EXPIRY:
                    file.unlink()
