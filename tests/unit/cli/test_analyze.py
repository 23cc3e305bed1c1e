"""`lateen analyze` and `lateen validate` of files: what is printed, and the exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lateen.cli.main import main

RULE = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: nobody}}]
"""


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, arguments, input=text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rule.yaml").write_text(RULE)
    (tmp_path / "notes.txt").write_text("not: [yaml")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "other.yaml").write_text(RULE.replace("name: reviews,", "name: other,"))
    return tmp_path


def test_errors_end_with_79_and_say_where(folder: Path) -> None:
    """File, line, object, what is wrong and what to do; folders are read as far as they are told to be."""
    ran = run("analyze", str(folder))
    assert ran.exit_code == 79
    assert ran.stdout == (
        f"Error [IST0101] (VirtualService shop/reviews {folder}/rule.yaml:7) "
        'Referenced host not found: "nobody". Create it, or correct the name.\n'
    )
    assert run("analyze", "-R", str(folder)).stdout.count("IST0101") == 2


def test_as_json_for_tools(folder: Path) -> None:
    """The fields of Istio's output."""
    (message,) = json.loads(run("analyze", "-o", "json", str(folder)).stdout)
    assert (message["code"], message["level"], message["origin"]) == ("IST0101", "Error", "VirtualService shop/reviews")
    assert message["reference"] == f"{folder}/rule.yaml:7"


@pytest.mark.parametrize(
    "options",
    [
        ("--suppress", "IST0101=VirtualService *.shop"),
        ("-n", "other"),
    ],
)
def test_what_is_not_asked_for_is_not_said(folder: Path, options: tuple[str, ...]) -> None:
    """By code and object, or by namespace."""
    ran = run("analyze", *options, str(folder))
    assert (ran.exit_code, ran.stdout) == (0, f"No issues found in {folder}.\n")


def test_the_threshold_decides_over_the_exit_code(folder: Path) -> None:
    """Warnings end with 79 only where they are to."""
    (folder / "rule.yaml").write_text(
        RULE.replace("networking.istio.io/v1\nkind: VirtualService", "v1\nkind: Namespace").partition("spec:")[0]
    )
    assert run("analyze", str(folder)).exit_code == 0
    assert run("analyze", "--failure-threshold", "info", str(folder)).exit_code == 79


def test_what_cannot_be_read_ends_with_65(folder: Path) -> None:
    """Broken YAML, a missing file, a wrong rule of suppression."""
    (folder / "broken.yaml").write_text("a: [")
    ran = run("analyze", str(folder))
    assert (ran.exit_code, "broken.yaml" in ran.stderr) == (65, True)
    assert run("analyze", str(folder / "none.yaml")).exit_code == 65
    assert run("analyze", "--suppress", "IST0101", str(folder / "rule.yaml")).exit_code == 64


def test_standard_input_and_validation(folder: Path) -> None:
    """`-`; validation looks at objects one by one, so an unknown host is none of its business."""
    assert "standard input:7" in run("analyze", "-", text=RULE).stdout
    ran = run("validate", "-f", str(folder / "rule.yaml"))
    assert (ran.exit_code, ran.stdout) == (0, f'"{folder}/rule.yaml" is valid\n')
    refused = run("validate", "-f", "-", text=RULE.replace("{host: nobody}}", "{host: nobody}, weight: -1}"))
    assert (refused.exit_code, refused.stderr) == (
        1,
        "standard input:7: VirtualService shop/reviews: spec.http[0].route[0].weight: weight -1 < 0\n",
    )
