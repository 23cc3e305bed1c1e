"""Kubeconfig files."""

import base64
from pathlib import Path

import pytest

from lateen.sources.kubeconfig import KubeconfigError, default_paths, load_access, render_kubeconfig

PLAIN = """
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c1
  cluster: {server: "http://127.0.0.1:8001/prefix/"}
- name: c2
  cluster: {server: "https://api.example:6443", insecure-skip-tls-verify: true, tls-server-name: inner}
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: shop}
- name: two
  context: {cluster: c2, user: u2}
users:
- name: u1
  user: {token: secret}
- name: u2
  user: {tokenFile: token.txt}
"""


def written(folder: Path, text: str, name: str = "config") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_current_context_is_used_unless_another_is_named(tmp_path: Path) -> None:
    """Server, path prefix, namespace and token."""
    access = load_access([written(tmp_path, PLAIN)])
    assert (access.endpoint.host, access.endpoint.port, access.endpoint.base, access.endpoint.tls) == ("127.0.0.1", 8001, "/prefix", None)
    assert access.namespace == "shop"
    assert access.token is not None
    assert access.token.headers() == {"Authorization": "Bearer secret"}


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    """It is renewed under our feet; its path counts from the kubeconfig's folder."""
    access = load_access([written(tmp_path, PLAIN)], "two")
    assert (access.endpoint.server_name, access.namespace) == ("inner", "default")
    assert access.token is not None
    for value in ("first", "second"):
        (tmp_path / "token.txt").write_text(f"{value}\n")
        assert access.token.headers() == {"Authorization": f"Bearer {value}"}


def test_of_several_files_the_first_counts(tmp_path: Path) -> None:
    """$KUBECONFIG may list more than one."""
    first = written(tmp_path, "current-context: two\nusers:\n- name: u2\n  user: {token: mine}\n", "first")
    access = load_access([first, written(tmp_path, PLAIN)])
    assert access.endpoint.host == "api.example"
    assert access.token is not None
    assert access.token.headers() == {"Authorization": "Bearer mine"}


def test_the_files_come_from_the_environment(tmp_path: Path) -> None:
    """$KUBECONFIG before the home folder; what does not exist is left out."""
    mine = written(tmp_path, PLAIN)
    assert default_paths({"KUBECONFIG": f"{tmp_path}/none:{mine}"}) == (mine,)
    assert default_paths({"HOME": str(tmp_path)}) == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("clusters: [", "config"),
        ("[]", "not a kubeconfig"),
        ("kind: Config", "no current-context"),
        ("current-context: x", 'no context named "x"'),
        (PLAIN.replace("http://127.0.0.1:8001/prefix/", "ftp://x"), "not an address"),
        (PLAIN.replace("token: secret", "exec: {command: aws}"), "not supported"),
        (
            PLAIN.replace("http://127.0.0.1:8001/prefix/", "https://x").replace(
                '"https://x"', '"https://x", certificate-authority-data: "%%"'
            ),
            "base64",
        ),
        (PLAIN.replace('"http://127.0.0.1:8001/prefix/"', '"https://x", certificate-authority: none.pem'), "cannot be read"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    """Never a traceback of a parser."""
    with pytest.raises(KubeconfigError, match=sentence):
        load_access([written(tmp_path, text)])


def test_no_file_is_a_sentence() -> None:
    """It says how to give one."""
    with pytest.raises(KubeconfigError, match="--kubeconfig"):
        load_access([])


def test_what_we_print_we_can_read(tmp_path: Path) -> None:
    """The kubeconfig of the embedded API; the doors' test connects with it."""
    text = render_kubeconfig("https://127.0.0.1:16443", b"PEM", "tok")
    assert base64.b64encode(b"PEM").decode() in text
    with pytest.raises(KubeconfigError, match="certificates of the kubeconfig cannot be used"):
        load_access([written(tmp_path, text)])
