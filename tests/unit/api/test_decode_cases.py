"""Real files: Istio's samples and one accepted resource of each kind decode without a problem and come back whole."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lateen.api.decode import Decoded, decode_documents, to_json
from lateen.api.kinds import info_of

# Files whose content is no object of ours, each with the reason.
NOT_OBJECTS = {
    "spire-base.yaml": "values of a Helm chart",
    "spire-east.yaml": "values of a Helm chart",
    "spire-west.yaml": "values of a Helm chart",
    "serviceentry-valid.yaml": "an address of its first object is the mapping {'001:db8:': null}",
}
# What is not written back where it is the field's default.
DEFAULTS: tuple[Any, ...] = (
    None,
    0,
    1,
    3,
    10,
    30,
    "",
    False,
    [],
    {},
    "TCP",
    "HTTP",
    "ClusterIP",
    "MESH_EXTERNAL",
    "NONE",
    "Always",
    "RollingUpdate",
    "V1",
)
DEFAULTS += ("PathPrefix", "Same", "DISABLE", "PASSTHROUGH", "DEFAULT", "ANY", "CLIENT_AND_SERVER", "UPSERT", "ALLOW", "INLINE")


def known(folder: Path) -> Iterator[Decoded]:
    """The objects of typed kinds in the folder's files."""
    for file in sorted(folder.rglob("*.yaml")):
        if file.name not in NOT_OBJECTS and not file.name.endswith("-invalid.yaml"):
            for decoded in decode_documents(file.read_bytes(), str(file)):
                if any(problem.code == "unknown-kind" for problem in decoded.problems):
                    continue
                if decoded.key is None or info_of(decoded.key.kind).type is not None:
                    yield decoded


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """The fields of `before` that `after` lacks or has otherwise; defaults apart."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [one for key, value in before.items() for one in lost(value, after.get(key), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [one for index, value in enumerate(before) for one in lost(value, after[index], f"{path}[{index}]")]
    return [] if before == after or (after is None and before is not True and before in DEFAULTS) else [path]


@pytest.mark.parametrize(("folder", "least"), [("samples", 200), ("validate/dataset", 12), ("validate/crd", 7), ("istiod-xds", 50)])
def test_real_files_decode_and_come_back(shared_cases: Path, folder: str, least: int) -> None:
    """No problem, and `to_json` keeps every field (a field that has its default may be left out)."""
    count = 0
    for decoded in known(shared_cases / folder):
        if "apiVersion" not in decoded.raw:
            continue  # world.yaml: the recorder's own description
        assert decoded.problems == ()
        assert decoded.obj is not None
        assert lost(decoded.raw, to_json(decoded.obj)) == []
        count += 1
    assert count >= least
