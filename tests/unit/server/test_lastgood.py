"""The file of what Envoy refused: it comes back as it was, and nothing that is wrong with it keeps a control plane from starting."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from lateen.api.decode import decode_object, to_json
from lateen.api.meta import Key
from lateen.server import lastgood
from lateen.server.lastgood import Kept, LastGood, digest_of
from lateen.server.refusals import Refusal

KEY = Key("EnvoyFilter", "default", "web")
PATCH = {"operation": "MERGE", "value": {"name": "x", "typed_config": {"@type": "type.googleapis.com/a.B", "n": [1, None, {"m": 0.5}]}}}
FORM, PROBLEMS = decode_object(
    {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "web", "namespace": "default", "generation": 4, "uid": "u"},
        "spec": {"configPatches": [{"applyTo": "HTTP_FILTER", "match": {"context": "SIDECAR_INBOUND"}, "patch": PATCH}]},
    }
)
assert FORM is not None
KEPT = Kept(uid="u", digest=digest_of(FORM), refusal=Refusal(5, "no such name", ("web-0.default",)), before=FORM, judged=True)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """With the form used, which counts as of no generation; only its owner may read the file."""
    path = tmp_path / "new" / "refused.json"
    other = replace(KEPT, before=None, judged=False)
    LastGood(path).keep({KEY: KEPT, Key("VirtualService", "a", "b"): other})
    found = LastGood(path).load()
    before = found[KEY].before
    assert before is not None
    assert type(before) is type(FORM)
    assert to_json(before)["spec"] == to_json(FORM)["spec"]
    assert "generation" not in to_json(before)["metadata"]
    assert replace(found[KEY], before=FORM) == KEPT
    assert found[Key("VirtualService", "a", "b")] == other
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_version_judges_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Envoy may take the form; what worked before is known all the same."""
    LastGood(tmp_path / "f").keep({KEY: KEPT})
    monkeypatch.setattr(lastgood, "__version__", "99")
    found = LastGood(tmp_path / "f").load()[KEY]
    assert (found.judged, found.before is None) == (False, False)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": "1", "refused": [{}]}', b"\xff"])
def test_a_broken_file_counts_as_none(tmp_path: Path, content: bytes) -> None:
    """And is replaced by the next that is written."""
    path = tmp_path / "f"
    path.write_bytes(content)
    kept = LastGood(path)
    assert kept.load() == {}
    kept.keep({KEY: KEPT})
    assert set(LastGood(path).load()) == {KEY}


def test_nothing_is_written_where_nothing_is_refused(tmp_path: Path) -> None:
    """Nor where it cannot be; emptied where nothing is refused any more."""
    kept = LastGood(tmp_path / "f")
    kept.keep({})
    assert list(tmp_path.iterdir()) == []
    kept.keep({KEY: KEPT})
    kept.keep({})
    assert LastGood(tmp_path / "f").load() == {}
    (tmp_path / "file").write_bytes(b"")
    LastGood(tmp_path / "file" / "below").keep({KEY: KEPT})
    LastGood(None).keep({KEY: KEPT})
    assert LastGood(None).load() == {}
