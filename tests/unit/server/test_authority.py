"""What the keeper of the authority does by itself."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from lateen.ca.signer import SelfSignedRoot, Signer
from lateen.server.authority import AuthorityKeeper

START = 1_800_000_000.0


class Clock:
    """Each wait takes its time; the wall clock jumps by the next of `jumps` as well. After the last it is over."""

    def __init__(self, *jumps: float) -> None:
        self.wall, self.passed, self._jumps = START, 0.0, list(jumps)

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        if not self._jumps:
            raise asyncio.CancelledError
        self.passed += seconds
        self.wall += seconds + self._jumps.pop(0)


def versions(tmp_path: Path, *jumps: float) -> int:
    """How often certificates are made anew."""
    root = SelfSignedRoot.create("cluster.local", START)
    signer, clock = Signer(root), Clock(*jumps)
    keeper = AuthorityKeeper(signer, root, tmp_path, lambda _root: None, clock)
    with suppress(asyncio.CancelledError):
        asyncio.run(keeper._follow_clock())
    return signer.version


def test_a_clock_that_was_set_renews_all_certificates(tmp_path: Path) -> None:
    """An hour forwards or back: once each; small corrections do nothing."""
    assert versions(tmp_path, 0, 3600, 0, 0, -3600, 0) == 2
    assert versions(tmp_path, 0.5, -2, 0, 10) == 0


@pytest.mark.parametrize("spoilt", ["ca-key.pem", "root-cert.pem"])
def test_files_that_cannot_be_read_change_nothing(tmp_path: Path, spoilt: str) -> None:
    """One file of `cacerts` that cannot be read (a folder, here: root reads any file): what signed goes on; taken over once it can."""
    other = SelfSignedRoot.create("cluster.local", START)
    key, _, certificate = other.pem.reveal().partition(b"-----BEGIN CERT")
    files = {"ca-key.pem": key, "ca-cert.pem": b"-----BEGIN CERT" + certificate, "root-cert.pem": other.certificate_pem}
    for name, content in files.items():
        (tmp_path / name).mkdir() if name == spoilt else (tmp_path / name).write_bytes(content)
    signer = Signer(root := SelfSignedRoot.create("cluster.local", START))

    async def look() -> None:
        keeper = AuthorityKeeper(signer, root, tmp_path, lambda _root: None, Clock(0))
        with suppress(asyncio.CancelledError):
            await keeper._follow_folder()
        await keeper.stop()

    asyncio.run(look())
    assert signer.roots_pem == root.certificate_pem
    (tmp_path / spoilt).rmdir()
    (tmp_path / spoilt).write_bytes(files[spoilt])
    asyncio.run(look())
    assert other.certificate_pem in signer.roots_pem
