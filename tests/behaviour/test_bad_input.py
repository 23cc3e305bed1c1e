"""Starts that cannot be, a disk that takes nothing more, and strangers: one sentence, nothing made, nothing lost, nothing shown."""

import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lateen.local.paths import Holder, holder, locate_here
from lateen.testing.mesh import GATEWAY, Mesh, free_port
from lateen.testing.waiting import wait_until

pytestmark = [pytest.mark.netns, pytest.mark.slow]

NOBODY = 65534
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: b}}\n"
CONNECT = """
import socket, sys
for address in sys.argv[1:]:
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 2).close()
        print(address)
    except OSError:
        pass
"""
PEEK = """
import os, socket, sys
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path) if path.endswith(".sock") else os.listdir(path) if os.path.isdir(path) else open(path)
        print(path)
    except OSError:
        pass
"""


def test_a_taken_port_is_one_sentence_and_nothing_is_made(possible: None, tmp_path: Path) -> None:
    """The sentence names port and remedy; the exit code is 1; there is no data folder."""
    mesh = Mesh(tmp_path / "data")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        others = [f"--publish={host}:{GATEWAY}:{inside}" for inside, host in mesh.ports.items() if inside != 80]
        ran = mesh.run("up", f"--data-dir={mesh.data}", f"--publish={port}:{GATEWAY}:80", *others)
    assert (ran.code, len(ran.err.splitlines()), ran.out) == (1, 1, "")
    assert f"Port 127.0.0.1:{port} is taken by" in ran.err
    assert "--publish" in ran.err
    assert not mesh.data.exists()


def test_a_start_that_fails_late_says_why_in_the_background_too(possible: None, tmp_path: Path) -> None:
    """An object that the API refuses, and a store that is none: the command's one line is the reason, not a hint to a log."""
    mesh, file = Mesh(tmp_path / "data"), tmp_path / "nowhere.yaml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}\n")
    ports = [f"--publish={free_port()}:{GATEWAY}:{port}" for port in (80, 443, 31400)]
    refused = mesh.run("up", str(file), "--detach", f"--data-dir={mesh.data}", *ports)
    assert refused.code == 1
    assert refused.err == f'lateen: {file}: ConfigMap a: namespaces "nowhere" not found\n'
    mesh.run("down", f"--data-dir={mesh.data}")
    for old in mesh.data.glob("mesh.db*"):
        old.unlink()
    (mesh.data / "mesh.db").write_text("garbage")
    broken = mesh.run("up", "--detach", f"--data-dir={mesh.data}", *ports)
    assert broken.code == 1
    assert f"the data file {mesh.data}/mesh.db cannot be opened: file is not a database" in broken.err
    assert len(broken.err.splitlines()) == 1


def test_a_mesh_whose_reader_goes_away_runs_on(possible: None, tmp_path: Path) -> None:
    """`lateen up | head -1` with its input closed: the mesh stays until it is told to end."""
    mesh = Mesh(tmp_path / "data")
    ports = [f"--publish={host}:{GATEWAY}:{port}" for port, host in mesh.ports.items()]
    reader, writer = os.pipe()
    os.close(reader)
    command = [str(Path(sys.executable).with_name("lateen")), "up", f"--data-dir={mesh.data}", *ports]
    with subprocess.Popen(["sh", "-c", 'exec "$@" <&-', "sh", *command], stdout=writer, stderr=subprocess.PIPE, text=True) as running:
        os.close(writer)
        wait_until(lambda: mesh.run("status").code == 0, seconds=30, what="the mesh is ready", every=0.2)
        assert running.poll() is None
        running.send_signal(signal.SIGTERM)
        assert "Traceback" not in running.communicate(timeout=30)[1]
    assert running.returncode == 0


def test_a_second_mesh_on_the_same_data_is_refused(mesh: Mesh) -> None:
    """The sentence names the process that has the folder; the running mesh goes on."""
    ran = mesh.run("up", f"--data-dir={mesh.data}")
    assert ran.code == 1
    assert f"is in use by the mesh of process {mesh.parent_pid()}" in ran.err
    assert mesh.call("/productpage").status == 200


@contextmanager
def nothing_can_be_written(mesh: Mesh) -> Iterator[None]:
    """The mesh's own processes may write no file, as on a full disk."""
    own = [pid for pid, words in mesh.processes().items() if "--detach" in words]
    assert own
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in own}
    try:
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_takes_nothing_more(mesh: Mesh) -> None:
    """Writes fail with a sentence and change nothing; reads and traffic go on; when there is room again so do writes."""
    with nothing_can_be_written(mesh):
        ran = mesh.run("apply", "-f", "-", text=CONFIG.format(name="too-much"))
        assert ran.code == 1
        assert "the store could not be written" in ran.err
        assert mesh.run("get", "configmap", "too-much").code == 1
        assert mesh.ready("details")
        assert [mesh.call("/productpage").status for _ in range(5)] == [200] * 5
    mesh.must("apply", "-f", "-", text=CONFIG.format(name="room-again"))
    mesh.must("delete", "configmap", "room-again")


def sockets_of(mesh: Mesh) -> Path:
    """The folder of the running mesh's sockets."""
    found = holder(locate_here(str(mesh.data)))
    assert isinstance(found, Holder)
    return Path(found.run)


def test_strangers_are_shown_nothing(mesh: Mesh) -> None:
    """Other users of this machine: the API's door wants its token; folders, keys and socket are the owner's alone."""
    address = (mesh.data / "api" / "address").read_text()
    for token in ("", "wrong"):
        request = urllib.request.Request(f"{address}/api/v1/namespaces", headers={"Authorization": f"Bearer {token}"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=10)
        assert refused.value.code == 401
        assert json.loads(refused.value.read())["reason"] == "Unauthorized"
        refused.value.close()
    run = sockets_of(mesh)
    for path in (run, run / "api.sock", mesh.data / "api" / "token", mesh.data / "api", mesh.data / "ca", mesh.data / "ca" / "root-ca.pem"):
        assert path.stat().st_mode & 0o077 == 0, path
    if os.geteuid() == 0:
        paths = [str(each) for each in (run / "api.sock", mesh.data / "api" / "token", mesh.data / "ca")]
        seen = subprocess.run(
            ["/usr/bin/python3", "-c", PEEK, *paths], user=NOBODY, group=NOBODY, extra_groups=(), capture_output=True, text=True, check=True
        )
        assert seen.stdout == ""


def test_pods_do_not_reach_the_hosts_loopback(mesh: Mesh) -> None:
    """What listens on 127.0.0.1 of the host is not there for a pod, by that address or by the node's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports = (listener.getsockname()[1], mesh.ports[80], int((mesh.data / "api" / "address").read_text().rsplit(":", 1)[1]))
        client = mesh.pod("client", "plain")
        node = mesh.exec(client, "sh", "-c", "ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'", namespace="plain").strip()
        addresses = [f"{host}:{port}" for host in ("127.0.0.1", node) for port in ports]
        assert mesh.exec(client, sys.executable, "-c", CONNECT, *addresses, namespace="plain") == ""
        known = f"{mesh.pod_address('details')}:9080"
        assert mesh.exec(client, sys.executable, "-c", CONNECT, known, namespace="plain").strip() == known
