"""Files of secrets that were spoilt while the mesh was down: it does not start, and says in a sentence which file and what to do."""

import shutil
from collections.abc import Iterator

import pytest

from lateen.testing.mesh import Mesh

pytestmark = [pytest.mark.netns, pytest.mark.slow]

POD = """
apiVersion: v1
kind: Pod
metadata: {name: has-a-token, namespace: default}
spec:
  containers:
    - name: sleep
      image: docker.io/curlimages/curl:8.16.0
      command: [/bin/sleep, infinity]
      volumeMounts: [{name: token, mountPath: /token}]
  volumes: [{name: token, projected: {sources: [{serviceAccountToken: {path: token, audience: somebody}}]}}]
"""


@pytest.fixture(scope="module")
def down(possible: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """A mesh that ran once, with a pod that has a token, and is down."""
    folder = tmp_path_factory.mktemp("spoilt")
    mesh, pod = Mesh(folder / "data"), folder / "pod.yaml"
    pod.write_text(POD)
    mesh.up(pod)
    mesh.must("down")
    yield mesh
    mesh.down()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("ca/root-ca.pem", "Put back the file that belongs to this mesh, or remove it to start with a new root."),
        ("api/api.pem", "The API's key in"),
        ("api/token", "The API's key in"),
        ("service-account-key.pem", "expected the key that signs tokens of service accounts"),
    ],
)
@pytest.mark.parametrize("how", ["half", "other text", "a folder"])
def test_a_spoilt_file_keeps_the_mesh_from_starting_and_is_named(down: Mesh, file: str, said: str, how: str) -> None:
    """Written by half, with another text, a folder in its place: exit code 1, one line, and the file stays as it is."""
    path = down.data / file
    kept = path.read_bytes()
    path.unlink()
    if how == "a folder":
        path.mkdir()
    else:
        path.write_bytes(kept[: len(kept) // 2] if how == "half" else b"nonsense")
    try:
        ran = down.run(
            "up",
            "--detach",
            f"--data-dir={down.data}",
            *(f"--publish={host}:istio-ingressgateway:{port}" for port, host in down.ports.items()),
        )
        assert (ran.code, len(ran.err.splitlines())) == (1, 1), ran
        assert str(path if "API" not in said else path.parent) in ran.err
        assert said in ran.err or how == "a folder"
        assert "Traceback" not in ran.err and "Errno" not in ran.err
        assert path.is_dir() if how == "a folder" else path.read_bytes() != kept
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        path.write_bytes(kept)
        path.chmod(0o600)


def test_the_mesh_starts_once_all_is_back(down: Mesh) -> None:
    """With what was in it."""
    down.up()
    assert [pod["metadata"]["name"] for pod in down.objects("pods")] == ["has-a-token"]
    down.must("down")
