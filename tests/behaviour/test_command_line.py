"""The command line against a mesh of the test's own, as a person uses it: start, look, run something, change, end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.testing.mesh import Mesh
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("possible"), pytest.mark.netns, pytest.mark.envoy, pytest.mark.slow]

APP = """
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec: {containers: [{name: program, image: curlimages/curl, command: [/bin/false]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: calm, labels: {sidecar.istio.io/inject: "true"}}
spec: {containers: [{name: program, image: curlimages/curl, command: [/bin/sleep, '1000']}]}
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Mesh]:
    """Not yet started."""
    running = Mesh(tmp_path / "data")
    yield running
    running.down()


def rows(status: str) -> dict[str, list[str]]:
    """The lines of `lateen status` by pod, in words."""
    return {words[1]: words for words in map(str.split, status.splitlines()) if len(words) > 6}


def test_a_mesh_that_does_not_get_ready_says_what_is_lacking(own: Mesh, tmp_path: Path) -> None:
    """`up --detach --wait` ends with 1 and the pod's reason; the mesh goes on, and `status` shows crashes, sidecars and ports."""
    app = tmp_path / "app.yaml"
    app.write_text(APP, encoding="utf-8")
    published = [f"--publish={host}:istio-ingressgateway.istio-system:{port}" for port, host in own.ports.items()]
    ran = own.run("up", str(app), "--detach", "--wait", "--timeout=3", f"--data-dir={own.data}", *published)
    assert ran.code == 1
    assert "not ready after 3 s: default/crash (program: CrashLoopBackOff)" in ran.err

    def well() -> bool:
        return rows(own.run("status").out).get("calm", [""] * 8)[2:5] == ["yes", "ready", "synced"]

    wait_until(well, seconds=20, what="the pod with a sidecar is ready, and its proxy holds everything")
    status = own.run("status")
    assert status.code == 1
    assert rows(status.out)["crash"][3] == "none"
    assert rows(status.out)["crash"][-2:] == ["program:", "CrashLoopBackOff"]
    assert f"http://127.0.0.1:{own.ports[80]} leads to istio-ingressgateway.istio-system:80" in status.out

    own.must("delete", "pod", "crash")
    wait_until(lambda: own.run("status").code == 0, seconds=20, what="the mesh is well without the pod that crashes")


def test_exec_takes_files_pipes_and_terminals(own: Mesh, tmp_path: Path) -> None:
    """Standard input may be a file or a pipe; with -t the program sees a terminal; its exit code is ours."""
    app = tmp_path / "app.yaml"
    app.write_text(APP.split("---")[1], encoding="utf-8")
    own.up(app)
    assert own.run("exec", "-i", "calm", "--", "cat", text="through a pipe").out == "through a pipe"
    lateen = str(Path(sys.executable).with_name("lateen"))
    with app.open("rb") as source:
        ran = subprocess.run(
            [lateen, "exec", "-i", "calm", "--", "cat"],
            stdin=source,
            capture_output=True,
            timeout=30,
            check=False,
            env={**os.environ, "LATEEN_DATA_DIR": str(own.data)},
        )
    assert ran.stdout == app.read_bytes()
    assert own.must("exec", "-t", "calm", "--", "tty").startswith("/dev/pts/")
    assert own.run("exec", "calm", "--", "sh", "-c", "exit 7").code == 7
