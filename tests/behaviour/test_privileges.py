"""What programs of the mesh may do to the machine and to each other."""

import json

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.envoy, pytest.mark.netns, pytest.mark.slow]

# Says of each process in sight: name, user, capabilities that it has or could get, whether programs it starts could get more.
LOOK = """
import json, pathlib
found = []
for file in pathlib.Path("/proc").glob("[0-9]*/status"):
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


def test_proxies_and_programs_have_no_privileges(mesh: Mesh) -> None:
    """Every Envoy, as the proxy's user, and every program of a pod: no user is root, no capability is held or can be had."""
    seen = json.loads(mesh.exec(mesh.pod("curl"), "python3", "-c", LOOK))
    proxies = [one for one in seen if one[0] == "envoy"]
    programs = [one for one in seen if one[1] not in {0, 1337}]
    assert len(proxies) >= 10
    assert len(programs) >= 10
    assert {tuple(one[2:]) for one in (*proxies, *programs)} == {(0, "1")}
    assert {one[1] for one in proxies} == {1337}
    pods = [pod for namespace in ("default", "istio-system", "plain") for pod in mesh.objects("pods", namespace)]
    assert len(proxies) + len(programs) >= len(pods)
