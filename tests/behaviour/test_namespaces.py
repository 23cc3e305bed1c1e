"""Pods' namespaces, the parent and the first process, as whoever runs the tests: root directly, others in a user namespace.

Each test runs a program of node_scenarios.py and looks at what it saw.
"""

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lateen.local.mounts import needed_trees

pytestmark = pytest.mark.netns

SCENARIOS = Path(__file__).with_name("node_scenarios.py")
SECONDS = 60
Start = Callable[..., subprocess.Popen[str]]
Scenario = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    """These tests need what `lateen up` needs; where it is missing the reason is preflight's own sentence."""
    code = (
        "import sys; from pathlib import Path; from lateen.local.preflight import examine; print(*examine(Path(sys.executable)).problems)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True).stdout.strip()
    if said:
        pytest.skip(said)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a scenario; it is killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(name: str, *arguments: str) -> subprocess.Popen[str]:
        run_dir = tmp_path / "run"
        run_dir.mkdir(exist_ok=True)
        command = [sys.executable, str(SCENARIOS), name, str(run_dir), *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.communicate(timeout=SECONDS)


@pytest.fixture
def scenario(start: Start) -> Scenario:
    """Run a scenario to its end; what it saw."""

    def run(name: str, *arguments: str) -> Any:
        process = start(name, *arguments)
        said, complaints = process.communicate(timeout=SECONDS)
        assert process.returncode == 7, complaints
        return json.loads(said.splitlines()[-1])

    return run


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_two_pods_are_two_hosts(scenario: Scenario) -> None:
    """Each pod has an address, a name and its own resolver; pods and node reach each other over TCP."""
    seen = scenario("two_pods")
    assert seen["addresses"] == ["10.177.0.2", "10.177.0.3"]
    assert (seen["listening"], seen["hello"], seen["code"], seen["from node"]) == ("bound", "hello", 0, "7 untracked")
    assert seen["hostname"] == "one\n"
    assert "10.177.0.2\tone\n" in seen["hosts"]
    assert "10.1.1.1\tdb\tdb.local\n" in seen["hosts"]
    search = "search {}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    assert seen["resolv"] == ["nameserver 10.177.0.1\n" + search.format("default"), "nameserver 10.96.0.10\n" + search.format("shop")]
    assert seen["links"] == ["eth0", "lo"]


def test_programs_run_as_their_user_without_privileges(scenario: Scenario) -> None:
    """User, group and groups are as asked; there are no capabilities, for root neither, unless named; a session of its own."""
    seen = scenario("two_pods")
    assert seen["id"].startswith("uid=1337")
    assert "gid=7" in seen["id"]
    for status in (seen["status"], seen["root"]):
        capabilities = [line.split()[1] for line in status.splitlines() if line.startswith("Cap")]
        assert set(capabilities) == {"0" * 16}
        assert "NoNewPrivs:\t1" in status
        assert status.strip().endswith("True")
    assert seen["network"].split() == [word for name in ("Inh", "Prm", "Eff", "Bnd", "Amb") for word in (f"Cap{name}:", "0000000000001000")]


def test_volumes_appear_anywhere_and_only_there(scenario: Scenario) -> None:
    """A volume is mounted at paths that do not exist, for one process; the machine's own files stay and are not written."""
    seen = scenario("volumes")
    assert seen["read"] == "content" * 6
    assert "Read-only file system" in seen["write"]
    assert seen["written"] == ["file", "new"]
    assert int(seen["etc stays"]) == int(seen["etc"]) + (not Path("/etc/istio").exists())
    assert "file\n" not in seen["elsewhere"]
    assert seen["beside"] == "content -9"
    assert seen["host"] == []
    assert [line.split("'")[1] for line in seen["machine"].splitlines()] == ["/etc/x", "/usr/x", "/x", "/root/x"]


def test_private_homes_stay_private(scenario: Scenario, tmp_path: Path) -> None:
    """A program under a 0700 home runs as another user, also below a volume; the rest of the home is not there, for root neither."""
    home = tmp_path / "home"
    tree = home / "real" / "tree"
    (tree / "hidden").mkdir(parents=True)
    (home / "link").symlink_to("real")
    for secret in (home / "secret", home / "real" / "secret", tree / "hidden" / "key"):
        secret.write_text("secret")
    (tree / "program").write_text("#!/bin/sh\necho ran as $(id -u)\n")
    (tree / "program").chmod(0o755)
    for folder in (home, home / "real"):
        folder.chmod(0o700)
    seen = scenario("private_home", str(home))
    assert seen["program"] == "ran as 1337\n"
    assert seen["below a volume"] == ["ran as 1337\n"] * 2
    assert seen["volume"] == "home\n"
    assert {line for line in seen["seen"].splitlines() if "denied" not in line} == {
        str(path) for path in (home, home / "link", home / "real", tree, tree / "program", tree / "hidden")
    }
    assert "secret" not in seen["root"].replace("/secret", "")
    assert "key" not in seen["root"]
    own = [Path(tree.path) for tree in needed_trees()]  # this clone may itself lie in a home
    assert set(seen["homes"].split()) == {path.relative_to("/home").parts[0] for path in own if path.is_relative_to("/home")}


def test_private_folders_on_the_way_are_opened(scenario: Scenario) -> None:
    """A tree under a 0700 folder anywhere on the machine can be used; the folder's other entries are not there."""
    seen = scenario("private_folders")
    assert seen["programs"] == ["ran as 1337\n"] * 3
    assert seen["seen"] == ["tree\n"] * 3
    assert "Permission denied" in seen["run"]  # the mesh's own folder, even where its surroundings are shown
    assert seen["shared"] == ["private\n", "private\n"]


def test_a_linked_resolv_conf_is_replaced_too(scenario: Scenario) -> None:
    """systemd-resolved's link into /run leads to the pod's own file."""
    assert scenario("resolved").startswith("nameserver 10.177.0.1\nsearch default.svc.cluster.local ")


@pytest.mark.parametrize("tool", ["iptables", "nft"])
def test_traffic_is_intercepted(scenario: Scenario, tool: str) -> None:
    """Apps' connections reach the proxy with their destination, the proxy's own are left alone; both tools load the same."""
    seen = scenario("interception", tool)
    pod, plain = seen["pod"], seen["plain"]
    assert {name: said for name, said in seen.items() if name not in {"pod", "plain"}} == {
        "to a service": "15001 10.96.0.99:80",
        "to a pod": f"15001 {plain}:9080",
        "proxy to a pod": "9080 untracked",
        "excluded": "3306 untracked",
        "to itself by loopback": "9080 127.0.0.1:9080",
        "proxy to its own address": f"15006 {pod}:9080",
        "inbound": f"15006 {pod}:9080",
        "inbound health": f"15021 {pod}:15021",
        "dns": "answer to name?",
    }


@pytest.mark.parametrize("tool", ["iptables", "nft"])
def test_tproxy_keeps_the_callers_address(scenario: Scenario, tool: str) -> None:
    """With TPROXY the sidecar accepts on the address that was called and sees the caller's."""
    seen = scenario("tproxy", tool)
    pod, plain = seen["pods"]
    assert (seen["client"], seen["wanted"], seen["said"]) == (plain, [pod, 9080], "hello")


def test_a_published_port_is_reached_from_the_host(start: Start) -> None:
    """A socket opened on the host before the node was isolated leads to a pod; SIGTERM ends the node in order."""
    process = start("published")
    address = tuple(json.loads(_line(process)))
    with socket.create_connection(address, 5) as client, client.makefile() as said:
        assert said.read() == "8080 untracked"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=SECONDS)[0] == '"ended"\n'
    assert process.returncode == 7
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)


def test_what_cannot_be_started_is_said_in_a_sentence(scenario: Scenario) -> None:
    """Each sentence names the cause; a pod that could not be made leaves nothing, and the others go on."""
    seen = scenario("errors")
    for sentence, words in zip(
        seen["said"],
        [
            "There is no program no-such-program in the pod (PATH is /usr/sbin",
            "The program /etc/passwd cannot be run: Permission denied.",
            "The working directory /nowhere cannot be entered: No such file or directory.",
            "The volume /nowhere cannot be mounted at /x",
            "The capability SYS_MODULE is not one a pod may have",
            "is too long: shorten the environment and the arguments.",
            "refused the pod's interception rules",
        ],
        strict=True,
    ):
        assert words in sentence
    assert seen["after"] == "fine\n"
    assert seen["links"] == ["lateen-2", "lateen0", "lo"]


def test_a_removed_pod_leaves_nothing(scenario: Scenario) -> None:
    """Sessions of their own and ignored signals do not save a pod's programs; the address is not used again at once."""
    seen = scenario("removal")
    assert seen["orphans"] == 0
    assert seen["codes"] == [3, -15, -9, -9]
    assert seen["during"] == ["lateen-2", "lateen0", "lo"]
    assert seen["sleeping"] == 0
    assert seen["addresses"] == ["10.177.0.2", "10.177.0.3"]
    assert seen["kept"] == ["lateen-default-one"]
    assert seen["links"] == ["lateen-3", "lateen0", "lo"]


def test_the_third_signal_ends_a_node_that_does_not_hear(start: Start) -> None:
    """Ctrl-C three times ends it, whatever it does."""
    process = start("deaf")
    assert _line(process) == "running"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert _line(process) == "deaf"
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 128 + signal.SIGKILL
    assert "the node was killed" in process.communicate()[1]


def _processes_with(word: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_bytes().decode(errors="replace").split("\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _gone(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(handle) as file:
        assert select.select([file], [], [], 10)[0], f"process {pid} is still there"


@pytest.mark.slow
def test_killing_the_parent_leaves_nothing(start: Start) -> None:
    """`kill -9` at twenty random moments: every process ends, and no link or mount of the host has changed."""
    seconds = str(700_000 + os.getpid())  # of `sleep`: marks this test's processes
    dice = random.Random(3)
    before = sorted(Path("/sys/class/net").iterdir()), Path("/proc/self/mounts").read_text()
    for attempt in range(20):
        process = start("crowd", seconds)
        if attempt % 4 == 0:
            assert _line(process) == "running"
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(dice.uniform(0.05, 0.6))
        process.kill()
        process.wait(SECONDS)
        for _ in range(50):  # each round waits for the end of those that are still dying
            if not (dying := _processes_with(seconds)):
                break
            for pid in dying:
                _gone(pid)
        assert _processes_with(seconds) == []
    assert (sorted(Path("/sys/class/net").iterdir()), Path("/proc/self/mounts").read_text()) == before
