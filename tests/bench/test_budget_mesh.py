"""The main job's budgets: Bookinfo's start, a change's way to Envoy, and the memory of the node and of a sidecar."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.runtime.clock import SystemClock
from lateen.samples.demo import DEMO
from lateen.testing.mesh import Mesh, obstacles
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

NODE_MB, SIDECAR_MB, START_SECONDS = 150, 80, 10
CLOCK = SystemClock()


@pytest.fixture
def bookinfo(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh of the test's own, not yet started."""
    if said := obstacles():
        pytest.skip(said)
    running = Mesh(tmp_path / "data")
    yield running
    running.down()


def resident(pid: int) -> float:
    """Megabytes that the process holds in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_bookinfo_starts_in_time_and_stays_within_its_memory(bookinfo: Mesh) -> None:
    """The product page answers 10 s after `lateen up`; the node with the control plane holds 150 MB at most, a sidecar 80 MB."""
    started = CLOCK.monotonic()
    bookinfo.up(*DEMO, wait=False)
    wait_until(lambda: "Book Reviews" in bookinfo.call("/productpage").body, seconds=60, what="the product page answers")
    taken = CLOCK.monotonic() - started
    bookinfo.gather(lambda: bookinfo.call("/productpage"), 100)
    processes = bookinfo.processes()
    node = max(resident(pid) for pid, words in processes.items() if "lateen" in " ".join(words))
    sidecars = [resident(pid) for pid, words in processes.items() if Path(words[0]).name.startswith("envoy")]
    print(
        f"\nBookinfo: page after {taken:.1f} s (budget {START_SECONDS} s); node {node:.0f} MB (budget {NODE_MB} MB); "
        f"{len(sidecars)} Envoys, the largest {max(sidecars):.0f} MB (budget {SIDECAR_MB} MB)"
    )
    assert node <= NODE_MB
    assert max(sidecars) <= SIDECAR_MB
