"""Each lack of a machine is one sentence with its remedy."""

from pathlib import Path

import pytest
from msgspec import structs

from lateen.local.preflight import Facts, _explain, gather, judge
from lateen.local.userns import IdRange

GOOD = Facts(
    system="Linux",
    machine="x86_64",
    kernel="6.1.0-18-amd64",
    root=False,
    known_users=2**32 - 1,
    user="ann",
    envoy="/venv/envoy",
    envoy_state="ok",
    unreadable=(),
    rules_tools=("/usr/sbin/nft",),
    map_tools=True,
    users=IdRange(first=100000, count=65536),
    groups=IdRange(first=100000, count=65536),
    user_namespaces=15000,
    unprivileged_userns=None,
    apparmor_userns=0,
)


def test_a_good_machine_lacks_nothing() -> None:
    """Debian 12 with uidmap and nft, not root."""
    assert judge(GOOD) == ()


@pytest.mark.parametrize(
    ("lack", "said", "remedy"),
    [
        ({"system": "Darwin"}, "this is Darwin", "use a Linux machine"),
        ({"machine": "riscv64"}, "this machine is riscv64", "another machine"),
        ({"kernel": "5.10.0-28-amd64"}, "The kernel is 5.10.0-28-amd64", "update it"),
        ({"envoy_state": "missing"}, "Envoy is not at /venv/envoy", "make setup"),
        ({"envoy_state": "not executable"}, "may not be executed", "chmod +x"),
        ({"unreadable": ("/srv/venv/bin/python",)}, "may not read /srv/venv/bin/python", "chmod -R go+rX"),
        ({"rules_tools": ()}, "neither iptables-restore nor nft", "apt-get install -y iptables"),
        ({"user_namespaces": 0}, "switched off", "user.max_user_namespaces"),
        ({"unprivileged_userns": 0}, "for root only", "kernel.unprivileged_userns_clone=1"),
        ({"map_tools": False}, "no newuidmap", "apt-get install -y uidmap"),
        ({"users": None}, "no range of users in /etc/subuid", "usermod --add-subuids"),
        ({"groups": IdRange(first=1, count=1000)}, "but 1000 groups in /etc/subgid", "usermod --add-subuids"),
    ],
)
def test_each_lack_is_one_sentence_with_its_remedy(lack: dict[str, object], said: str, remedy: str) -> None:
    """The sentence says what is missing and what to type."""
    problems = judge(structs.replace(GOOD, **lack))
    assert len(problems) == 1
    assert said in problems[0]
    assert remedy in problems[0]


def test_root_needs_no_range_of_users() -> None:
    """Namespaces of users are for those who are not root."""
    assert judge(structs.replace(GOOD, root=True, users=None, groups=None, map_tools=False, user_namespaces=0)) == ()


def test_root_of_a_small_container_is_told() -> None:
    """A container with one user has no user for sidecars."""
    problems = judge(structs.replace(GOOD, root=True, known_users=1))
    assert len(problems) == 1
    assert "has but 1 users" in problems[0]


@pytest.mark.parametrize(
    ("facts", "sentence", "remedy"),
    [
        (GOOD, "Namespaces cannot be made: Operation not permitted.", "unshare -Urn true"),
        (
            structs.replace(GOOD, apparmor_userns=1),
            "Namespaces cannot be made: Permission denied.",
            "apparmor_restrict_unprivileged_userns=0",
        ),
        (structs.replace(GOOD, root=True), "Namespaces cannot be made: Operation not permitted.", "CAP_SYS_ADMIN"),
        (GOOD, "The kernel may lack the modules nf_nat.", ""),
    ],
)
def test_what_the_trial_showed_is_explained(facts: Facts, sentence: str, remedy: str) -> None:
    """A right that is missing comes with the way to get it; other causes speak for themselves."""
    said = _explain(sentence, facts)
    assert said.startswith(sentence)
    assert (remedy in said) if remedy else said == sentence


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    """Gathering never fails, whatever is missing."""
    facts = gather(tmp_path / "envoy")
    assert facts.system == "Linux"
    assert facts.envoy_state == "missing"
    (tmp_path / "envoy").write_text("")
    assert gather(tmp_path / "envoy").envoy_state == "not executable"
