"""Modules of users: fetched once, kept over restarts and failures, forgotten when nothing names them."""

import asyncio
import os
from pathlib import Path

from lateen.api.meta import Key
from lateen.model.module import Module, ModuleRef, WantedModule
from lateen.server.modules import Modules

KEY = Key("WasmPlugin", "default", "mine")
WANTED = WantedModule(ModuleRef(url="oci://registry.example/mine:v1"))
DAY = 24 * 3600.0


class Server:
    """Answers what it is told, an exception is raised; then nothing more."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)

    async def fetch(self, wanted: WantedModule) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Impatient:
    """A clock for which no wait takes time."""

    def __init__(self, now: float = 0.0) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


def told(source: Server, folder: Path, clock: Impatient, wanted: WantedModule = WANTED, *, tells: int = 1) -> list[Module | None]:
    """What is said of the module until so much was said."""

    async def run() -> list[Module | None]:
        said: list[Module | None] = []
        enough = asyncio.Event()

        def tell(key: Key, module: Module | None) -> None:
            said.append(module)
            if len(said) == tells:
                enough.set()

        modules = Modules(source, tell, clock, folder)
        modules.want({KEY: wanted})
        await enough.wait()
        modules.want({})
        await modules.stop()
        return said

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    """Later each time; nothing is told any more when nobody wants it."""
    clock = Impatient()
    failed, found, gone = told(Server(ValueError("out"), b"module"), tmp_path, clock, tells=2)
    assert failed == Module(ref=WANTED.ref, failure="out")
    assert found == Module(ref=WANTED.ref, data=b"module")
    assert gone is None
    assert clock.time > 1


def test_a_module_is_fetched_once_unless_each_form_is_to_be(tmp_path: Path) -> None:
    """After a restart the kept one counts, or stands in while the new one cannot be had; other secrets do not open it."""
    clock = Impatient()
    told(Server(b"module"), tmp_path, clock)
    assert told(Server(), tmp_path, clock)[0] == Module(ref=WANTED.ref, data=b"module")
    always = WantedModule(ModuleRef(url=WANTED.ref.url, pull=2))
    assert told(Server(ValueError("out"), b"newer"), tmp_path, clock, always)[0] == Module(ref=always.ref, data=b"module", failure="out")
    assert told(Server(b"newer"), tmp_path, clock, always)[0] == Module(ref=always.ref, data=b"newer")
    secured = WantedModule(ModuleRef(url=WANTED.ref.url, secret="default/login"))
    assert told(Server(ValueError("denied"), b""), tmp_path, clock, secured)[0] == Module(ref=secured.ref, failure="denied")


def test_files_go_that_nobody_used_for_a_day(tmp_path: Path) -> None:
    """What is wanted stays, however old."""
    told(Server(b"module"), tmp_path, Impatient())
    old = tmp_path / "old.wasm"
    old.write_bytes(b"old")
    os.utime(old, (0, 0))
    assert told(Server(), tmp_path, Impatient(DAY + 1))[0] == Module(ref=WANTED.ref, data=b"module")
    assert [file.name for file in tmp_path.iterdir()] != ["old.wasm"] and not old.exists()


def test_a_change_ends_what_was_under_way(tmp_path: Path) -> None:
    """The newest form is fetched, and told under its own reference."""

    async def run() -> list[Module | None]:
        said: list[Module | None] = []
        done = asyncio.Event()

        def tell(key: Key, module: Module | None) -> None:
            said.append(module)
            done.set()

        modules = Modules(Server(b"second"), tell, Impatient(), tmp_path)
        modules.want({KEY: WANTED})
        second = WantedModule(ModuleRef(url="http://registry.example/second"))
        modules.want({KEY: second})
        await done.wait()
        await modules.stop()
        assert said == [Module(ref=second.ref, data=b"second")]
        return said

    asyncio.run(asyncio.wait_for(run(), 10))
