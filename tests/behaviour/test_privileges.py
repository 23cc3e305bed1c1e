"""What programs of the mesh may do to the machine and to each other."""

import json
from typing import Any

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

# Says of the container's first process: name, user, capabilities that it has or could get, whether programs it starts could get more.
LOOK = """
import json, pathlib
found = []
for file in pathlib.Path("/proc").glob("1/status"):
    try:
        status = dict(line.split(":", 1) for line in file.read_text().splitlines())
    except OSError:
        continue
    held = [int(status["Cap" + kind], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    found.append((status["Name"].strip(), int(status["Uid"].split()[0]), sum(held), status["NoNewPrivs"].strip()))
print(json.dumps(found))
"""


# Says what the proxy's user may change of what its agent gives it; "" where nothing.
WRITE = """
import os
done = []
for what, act in {
    "made": lambda: open("/etc/istio/proxy/planted", "w"),
    "changed": lambda: open("/etc/istio/proxy/bootstrap.pb", "a"),
    "linked": lambda: os.symlink("/etc/shadow", "/etc/istio/proxy/link"),
    "removed": lambda: os.unlink("/etc/istio/proxy/sds.sock"),
    "renamed": lambda: os.rename("/etc/istio/proxy/bootstrap.pb", "/etc/istio/proxy/b"),
    "opened": lambda: os.chmod("/etc/istio/proxy", 0o777),
}.items():
    try:
        act()
        done.append(what)
    except OSError:
        pass
print(os.getuid(), sorted(os.listdir("/etc/istio/proxy")), done)
"""


def test_a_proxy_that_was_taken_over_changes_nothing_that_its_agent_uses(mesh: Mesh) -> None:
    """As the proxy's user, where it sees them: folder, bootstrap and socket can be read and used, and not changed, replaced or linked."""
    for pod, namespace in ((mesh.pod("httpbin"), "default"), (mesh.pod("istio-ingressgateway", "istio-system"), "istio-system")):
        said = mesh.must("exec", pod, "-n", namespace, "-c", "istio-proxy", "--", "python3", "-c", WRITE)
        assert said.strip() == "1337 ['bootstrap.pb', 'sds.sock'] []"


def names_of(pod: dict[str, Any]) -> list[str]:
    """The containers of a pod that run."""
    statuses = (*pod["status"].get("initContainerStatuses", ()), *pod["status"]["containerStatuses"])
    return [one["name"] for one in statuses if "running" in one.get("state", {})]


def look(mesh: Mesh, pod: dict[str, Any], container: str) -> list[list[Any]]:
    """What `LOOK` says in a container."""
    meta = pod["metadata"]
    said = mesh.must("exec", meta["name"], "-n", meta["namespace"], "-c", container, "--", "python3", "-c", LOOK)
    found: list[list[Any]] = json.loads(said)
    return found


# Whose processes are in sight, and whether one by its number on the node can be signalled.
REACH = """
import os, pathlib, sys
reached = []
for pid in range(1, 3000):
    try:
        os.kill(pid, 0)
        reached.append(pid)
    except ProcessLookupError:
        pass
    except PermissionError:
        reached.append(-pid)
pids = [int(each.name) for each in pathlib.Path("/proc").glob("[0-9]*")]
threads = {int(each.name) for each in pathlib.Path("/proc").glob("[0-9]*/task/*")}
names = {pathlib.Path(f"/proc/{pid}/cmdline").read_text().split(chr(0))[0] for pid in pids if pid != os.getpid()}
print(sorted(names), threads.issuperset(reached))
"""


def test_a_container_sees_and_reaches_its_own_processes_only(mesh: Mesh) -> None:
    """As the user that every Envoy has: one Envoy is in sight, none of another pod, container or the node can be signalled."""
    said = mesh.must("exec", mesh.pod("ratings"), "-c", "istio-proxy", "--", "python3", "-c", REACH)
    names, same = said.strip().rsplit(" ", 1)
    assert len(json.loads(names.replace("'", '"'))) == 1
    assert names.endswith("envoy']")
    assert same == "True"


def test_proxies_and_programs_have_no_privileges(mesh: Mesh) -> None:
    """Every Envoy, as the proxy's user, and every program of a pod: no user is root, no capability is held or can be had."""
    pods = [pod for namespace in ("default", "istio-system", "plain") for pod in mesh.objects("pods", namespace)]
    seen = [one for pod in pods for name in names_of(pod) for one in look(mesh, pod, name)]
    proxies = [one for one in seen if one[0] == "envoy"]
    programs = [one for one in seen if one[1] not in {0, 1337}]
    assert len(proxies) >= 10
    assert len(programs) >= 10
    assert {tuple(one[2:]) for one in (*proxies, *programs)} == {(0, "1")}
    assert {one[1] for one in proxies} == {1337}
    assert len(proxies) + len(programs) >= len(pods)
