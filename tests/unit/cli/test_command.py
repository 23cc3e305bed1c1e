"""The command itself: its table, its help, where it looks for the API, and what it says where there is none."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lateen.cli.access import names_cluster
from lateen.cli.main import COMMANDS, main

HEAVY = ("grpc", "lateen.local", "lateen.server", "envoy", "google.protobuf", "cryptography")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_its_help(name: str) -> None:
    """It can be loaded, and its help begins with how to call it."""
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} [OPTIONS]" in result.output


def test_help_loads_no_command() -> None:
    """So that it is quick: nothing heavy is imported for it."""
    code = (
        "import sys\nfrom lateen.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == "[]\n"
    assert all(entry.summary in " ".join(ran.stdout.split()) for entry in COMMANDS.values())


def test_an_unknown_command_is_wrong_usage() -> None:
    """Exit code 2, and the word that is not known."""
    result = CliRunner().invoke(main, ["aply"])
    assert result.exit_code == 2
    assert "'aply'" in result.output


def test_where_no_mesh_runs_the_remedy_is_told(tmp_path: Path) -> None:
    """One sentence, no traceback."""
    env = {"LATEEN_DATA_DIR": str(tmp_path), "KUBECONFIG": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    for words in (["get", "pods"], ["kubeconfig"]):
        result = CliRunner(env=env).invoke(main, words)
        assert result.exit_code == 1
        assert "start one with `lateen up`" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The file's name, in one sentence."""
    result = CliRunner().invoke(main, ["get", "pods", "--kubeconfig", str(tmp_path / "nothing")])
    assert result.exit_code == 1
    assert str(tmp_path / "nothing") in result.stderr
    assert "Traceback" not in result.stderr


def test_an_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """--kubeconfig, then the files of $KUBECONFIG, then the mesh of this machine."""
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    assert names_cluster(Path("/own")) == [Path("/own")]
    assert names_cluster(None) == [Path("/a"), Path("/b")]
    monkeypatch.delenv("KUBECONFIG")
    assert names_cluster(None) == []


def test_down_without_a_mesh_is_no_failure(tmp_path: Path) -> None:
    """Nothing was started there: it says so."""
    result = CliRunner(env={"LATEEN_DATA_DIR": str(tmp_path / "never")}).invoke(main, ["down"])
    assert (result.exit_code, result.stdout) == (0, "No mesh was started here.\n")
    assert not (tmp_path / "never").exists()


def test_up_reads_its_files_before_it_makes_anything(tmp_path: Path) -> None:
    """A mistake in a file is told with its place, and no data folder is there after it."""
    file = tmp_path / "bad.yaml"
    file.write_text("apiVersion: v1\nkind: Nonsense\nmetadata: {name: a}\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["up", str(file), "--data-dir", str(tmp_path / "data")])
    assert result.exit_code == 1
    assert str(file) in result.stderr
    assert "Nonsense" in result.stderr
    assert not (tmp_path / "data").exists()
