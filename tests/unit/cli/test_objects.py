"""apply, get and delete, over a real API."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lateen.api.kinds import by_kind

CONFIG_MAP: Any = by_kind("ConfigMap")

RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, labels: {team: a, kept: "yes"}}
spec:
  hosts: [reviews]
  http:
  - timeout: 1s
    route: [{destination: {host: reviews}}]
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {a: one, b: two}
"""
BROKEN = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken}
spec:
  hosts: [reviews]
  http:
  - timeot: 1s
    route: [{destination: {host: reviews}}]
"""


def test_apply_says_what_it_did_in_kubectls_words(cli: Any) -> None:
    """created, then unchanged, then configured; each object on a line."""
    assert cli("apply", "-f", "-", text=RULE).out == "virtualservice.networking.istio.io/reviews created\n"
    assert cli("apply", "-f", "-", text=RULE).out == "virtualservice.networking.istio.io/reviews unchanged\n"
    assert cli("apply", "-f", "-", text=RULE.replace("1s", "2s")).out == "virtualservice.networking.istio.io/reviews configured\n"
    assert cli("apply", "-f", "-", text=SETTINGS).out == "configmap/settings created\n"


def test_apply_removes_what_left_the_file_and_keeps_what_others_set(cli: Any) -> None:
    """A field that was applied and is not in the file any more goes; one that somebody else set stays."""
    cli("apply", "-f", "-", text=SETTINGS)

    cli.ask(lambda client: client.patch(CONFIG_MAP, "settings", {"data": {"other": "theirs"}}, "default"))
    cli("apply", "-f", "-", text=SETTINGS.replace(", b: two", ""))
    stored = yaml.safe_load(cli("get", "configmap", "settings", "-o", "yaml").out)
    assert stored["data"] == {"a": "one", "other": "theirs"}


def test_an_object_with_an_error_is_not_sent_and_the_others_are(cli: Any, tmp_path: Path) -> None:
    """The message names file, line, object, field and what was meant; exit code 65; nothing of the bad object is stored."""
    file = tmp_path / "two.yaml"
    file.write_text(BROKEN + "---\n" + SETTINGS, encoding="utf-8")
    ran = cli("apply", "-f", str(file))
    assert ran.code == 65
    assert ran.out == "configmap/settings created\n"
    for word in (str(file), "7", "VirtualService", "broken", "spec.http[0].timeot", "timeout"):
        assert word in ran.err
    assert cli("get", "virtualservice", "broken").code == 1


@pytest.mark.parametrize("text", ["kind: [", "apiVersion: v1\nkind: Nonsense\nmetadata: {name: a}\n", ""])
def test_what_is_no_object_applies_nothing(cli: Any, text: str) -> None:
    """Broken YAML, an unknown kind and an empty file end with 65 and a reason."""
    ran = cli("apply", "-f", "-", text=text)
    assert (ran.code, ran.out) == (65, "")
    assert ran.err


def test_a_file_that_is_not_there_is_named(cli: Any, tmp_path: Path) -> None:
    """Its name and the reason; the other files are applied."""
    good = tmp_path / "good.yaml"
    good.write_text(SETTINGS, encoding="utf-8")
    ran = cli("apply", "-f", str(tmp_path / "gone.yaml"), "-f", str(good))
    assert ran.code == 65
    assert ran.out == "configmap/settings created\n"
    assert f"{tmp_path / 'gone.yaml'}: cannot be read: No such file" in ran.err


def test_a_folder_is_all_its_files(cli: Any, tmp_path: Path) -> None:
    """YAML and JSON files of it, in the order of their names; others are left alone."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.yaml").write_text(RULE, encoding="utf-8")
    (tmp_path / "in" / "a.json").write_text(json.dumps(yaml.safe_load(SETTINGS)), encoding="utf-8")
    (tmp_path / "in" / "README.md").write_text("kind: [", encoding="utf-8")
    ran = cli("apply", "-f", str(tmp_path / "in"))
    assert ran == (0, "configmap/settings created\nvirtualservice.networking.istio.io/reviews created\n", "")


def test_an_object_of_another_namespace_is_refused(cli: Any) -> None:
    """-n says where objects without a namespace go, and refuses those of another one."""
    elsewhere = SETTINGS.replace("name: settings", "name: settings, namespace: other")
    ran = cli("apply", "-n", "default", "-f", "-", text=elsewhere)
    assert ran.code == 65
    assert "is of namespace other, not default" in ran.err


def test_get_prints_a_table_with_the_usual_columns(cli: Any) -> None:
    """Columns in capitals; -A adds the namespace; kinds go by short names too."""
    cli("apply", "-f", "-", text=RULE)
    head, row = cli("get", "vs").out.splitlines()
    assert head.split() == ["NAME", "GATEWAYS", "HOSTS", "AGE"]
    assert row.split()[0] == "reviews"
    assert cli("get", "VirtualService", "-A").out.splitlines()[1].split()[:2] == ["default", "reviews"]


def test_get_prints_objects_in_the_form_asked_for(cli: Any) -> None:
    """The object as YAML or JSON; name is KIND/NAME; a list is a List."""
    cli("apply", "-f", "-", text=RULE)
    assert cli("get", "vs/reviews", "-o", "name").out == "virtualservice.networking.istio.io/reviews\n"
    assert yaml.safe_load(cli("get", "vs", "reviews", "-o", "yaml").out)["spec"]["hosts"] == ["reviews"]
    listed = json.loads(cli("get", "vs", "-o", "json").out)
    assert (listed["kind"], [one["metadata"]["name"] for one in listed["items"]]) == ("List", ["reviews"])


def test_get_selects_by_label(cli: Any) -> None:
    """-l keeps what has the labels."""
    cli("apply", "-f", "-", text=RULE)
    assert "reviews" in cli("get", "vs", "-l", "team=a").out
    assert cli("get", "vs", "-l", "team=b").err == "No resources found\n"


def test_get_of_what_is_not_there_fails(cli: Any) -> None:
    """One sentence with the object's name, and 1; an unknown kind is wrong usage."""
    ran = cli("get", "vs", "nobody")
    assert ran.code == 1
    assert '"nobody" not found' in ran.err
    assert cli("get", "nonsense").code == 2


def test_delete_by_file_and_by_name(cli: Any) -> None:
    """Both say what was deleted; deleting again fails unless told otherwise."""
    cli("apply", "-f", "-", text=RULE + "---\n" + SETTINGS)
    assert cli("delete", "-f", "-", text=RULE).out == 'virtualservice.networking.istio.io "reviews" deleted\n'
    assert cli("delete", "cm", "settings").out == 'configmap "settings" deleted\n'
    again = cli("delete", "cm/settings")
    assert (again.code, "not found" in again.err) == (1, True)
    assert cli("delete", "cm", "settings", "--ignore-not-found").code == 0


@pytest.mark.parametrize("words", [(), ("cm",), ("nonsense", "a")])
def test_delete_wants_to_know_what(cli: Any, words: tuple[str, ...]) -> None:
    """Nothing, a kind alone and an unknown kind are wrong usage."""
    assert cli("delete", *words).code == 2
