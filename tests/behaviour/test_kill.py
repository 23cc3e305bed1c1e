"""`kill -9` of `lateen up` at any moment: the kernel removes what it made, what was acknowledged is there at the next start."""

import os
import random
import signal
import subprocess
import threading
from functools import partial
from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("possible"), pytest.mark.netns, pytest.mark.envoy, pytest.mark.slow]

MOMENTS = 20
APP = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: curlimages/curl, command: [/bin/sleep, '1000']}]}
"""


def rule(number: int) -> str:
    """A VirtualService of its own name."""
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: rule-{number}}}\n"
        f"spec: {{hosts: [h{number}.example.com], http: [{{route: [{{destination: {{host: web}}}}]}}]}}\n"
    )


class Writer:
    """Applies rules one after the other until the mesh is gone; `acknowledged` are those whose `apply` had returned."""

    def __init__(self, mesh: Mesh, first: int) -> None:
        self._mesh, self._next = mesh, first
        self.acknowledged: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        while not self._stop.is_set():
            if self._mesh.run("apply", "-f", "-", text=rule(self._next)).code == 0:
                self.acknowledged.append(self._next)
            self._next += 1

    def end(self) -> int:
        """Stop writing; the next free number."""
        self._stop.set()
        self._thread.join(60)
        return self._next


def links() -> set[str]:
    """The network links of the host."""
    return {link.name for link in Path("/sys/class/net").iterdir()}


def mounts() -> str:
    return Path("/proc/self/mounts").read_text(encoding="utf-8")


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run (zombies wait for a parent that is not ours)."""
    found = set()
    for pid in pids:
        status = Path(f"/proc/{pid}/stat")
        try:
            if status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def ended(pids: set[int]) -> bool:
    return not alive(pids)


@pytest.mark.timeout(400)
def test_nothing_is_left_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """Twenty times: start, write, kill the parent at a random moment; then the same folder again."""
    app = tmp_path / "app.yaml"
    app.write_text(APP, encoding="utf-8")
    mesh = Mesh(tmp_path / "data")
    chance = random.Random(20261123)
    number, acknowledged = 0, set[int]()
    before = (links(), mounts())
    try:
        for _ in range(MOMENTS):
            mesh.up(app, wait=False)
            writer = Writer(mesh, number)
            threading.Event().wait(chance.uniform(0.0, 1.5))
            pids = set(mesh.processes())
            os.kill(mesh.parent_pid(), signal.SIGKILL)
            wait_until(partial(ended, pids), seconds=10, what="every process of the mesh has ended")
            number = writer.end()
            acknowledged |= set(writer.acknowledged)
            assert (links(), mounts()) == before
        mesh.up(wait=False)
        stored = {str(one["metadata"]["name"]) for one in mesh.objects("virtualservices") if isinstance(one["metadata"], dict)}
        assert {f"rule-{one}" for one in acknowledged} <= stored
        assert len(acknowledged) >= MOMENTS / 2
    finally:
        mesh.down()


def test_down_finds_a_mesh_that_was_killed(tmp_path: Path) -> None:
    """After `kill -9`, `lateen down` succeeds and the data folder can be used again."""
    mesh = Mesh(tmp_path / "data")
    mesh.up(wait=False)
    pids = set(mesh.processes())
    os.kill(mesh.parent_pid(), signal.SIGKILL)
    assert mesh.down().code == 0
    assert not alive(pids)
    assert subprocess.run(["ip", "link", "show", "lateen0"], capture_output=True, check=False).returncode != 0
