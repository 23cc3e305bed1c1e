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
