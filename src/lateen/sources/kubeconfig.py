"""Kubeconfig files: where a cluster is and how to prove who we are; and the one that `lateen kubeconfig` prints.

Why: the CLI and the control plane reach a real cluster with the file that kubectl uses. A file's own relative paths count from its
folder. Must not call the cluster.
"""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from lateen.api.decode import read_documents
from lateen.kube.records import JsonObject, section
from lateen.sources.kubeclient import KubeClient, Token
from lateen.sources.kubehttp import Endpoint

__all__ = ["Access", "KubeconfigError", "connect", "default_paths", "in_cluster", "load_access", "render_kubeconfig"]

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class KubeconfigError(Exception):
    """The file cannot be used; the message says which part and what to do."""


class Access(NamedTuple):
    """One context of a kubeconfig."""

    endpoint: Endpoint
    token: Token | None
    namespace: str


class _Named(NamedTuple):
    body: JsonObject
    folder: Path


def default_paths(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """`$KUBECONFIG`'s files, else `~/.kube/config`, as far as they exist."""
    listed = environment.get("KUBECONFIG", "")
    paths = [Path(p) for p in listed.split(os.pathsep) if p] or [Path(environment.get("HOME", "/")) / ".kube/config"]
    return tuple(path for path in paths if path.exists())


def connect(paths: Sequence[Path], context: str = "") -> KubeClient:
    """A client for a context of these files."""
    access = load_access(paths, context)
    return KubeClient(access.endpoint, token=access.token)


def load_access(paths: Sequence[Path], context: str = "") -> Access:
    """The named context, or the current one; where several files name the same thing, the first counts."""
    files = [(path, _read(path)) for path in paths]
    if not files:
        raise KubeconfigError("no kubeconfig file was found; give one with --kubeconfig or $KUBECONFIG")
    wanted = context or next((str(f["current-context"]) for _, f in files if f.get("current-context")), "")
    if not wanted:
        raise KubeconfigError(f"{paths[0]} has no current-context; name one with --context")
    place = _find(files, "contexts", "context", wanted).body
    cluster = _find(files, "clusters", "cluster", str(place.get("cluster", "")))
    user = _find(files, "users", "user", str(place["user"])) if place.get("user") else _Named({}, Path())
    return Access(_endpoint(cluster, user), _token(user), str(place.get("namespace") or "default"))


def _read(path: Path) -> JsonObject:
    try:
        documents = list(read_documents(path.read_bytes(), str(path)))
    except OSError as failure:
        raise KubeconfigError(f"{path} cannot be read: {failure.strerror}") from failure
    problems = [problem.message for document in documents for problem in document.problems()]
    raw = documents[0].raw if documents else None
    if problems or not isinstance(raw, dict):
        raise KubeconfigError(problems[0] if problems else f"{path} is not a kubeconfig: expected a mapping with clusters, contexts, users")
    return raw


def _find(files: Sequence[tuple[Path, JsonObject]], many: str, one: str, name: str) -> _Named:
    for path, content in files:
        entries = content.get(many)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("name") == name:
                return _Named(section(entry, one), path.parent)
    raise KubeconfigError(f'{files[0][0]} has no {one} named "{name}"; see its list of {many}')


def _endpoint(cluster: _Named, user: _Named) -> Endpoint:
    server = str(cluster.body.get("server", ""))
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise KubeconfigError(f'the server "{server}" is not an address; expected https://HOST:PORT')
    secure = parts.scheme == "https"
    return Endpoint(
        host=parts.hostname,
        port=parts.port or (443 if secure else 80),
        tls=_tls(cluster, user) if secure else None,
        server_name=str(cluster.body.get("tls-server-name", "")),
        base=parts.path.rstrip("/"),
    )


def _tls(cluster: _Named, user: _Named) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.body.get("insecure-skip-tls-verify") is True:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
        if certificate and key:
            _load_client_certificate(context, certificate + b"\n" + key)
    except (ssl.SSLError, ValueError) as problem:
        raise KubeconfigError(f"the certificates of the kubeconfig cannot be used: {problem}") from problem
    return context


def _load_client_certificate(context: ssl.SSLContext, pem: bytes) -> None:
    with tempfile.NamedTemporaryFile(prefix="lateen-", suffix=".pem") as file:  # mode 0600, gone after this block
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)


def _data(part: _Named, name: str) -> bytes:
    inline = part.body.get(f"{name}-data")
    if isinstance(inline, str) and inline:
        try:
            return base64.b64decode(inline, validate=True)
        except binascii.Error as problem:
            raise KubeconfigError(f"{name}-data of the kubeconfig is not base64") from problem
    path = part.body.get(name)
    if not isinstance(path, str) or not path:
        return b""
    try:
        return (part.folder / path).read_bytes()
    except OSError as failure:
        raise KubeconfigError(f"{name} of the kubeconfig, {part.folder / path}, cannot be read: {failure.strerror}") from failure


def _token(user: _Named) -> Token | None:
    if user.body.get("exec") or user.body.get("auth-provider"):
        raise KubeconfigError(
            "the user's credentials come from a program (exec), which is not supported; use a token or a client certificate"
        )
    if file := user.body.get("tokenFile"):
        return Token(file=str(user.folder / str(file)))
    value = user.body.get("token")
    return Token(str(value)) if value else None


def in_cluster(environment: Mapping[str, str]) -> Access | None:
    """Access of a pod through its service account; None outside a cluster."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (_SERVICE_ACCOUNT / "token").exists():
        return None
    tls = ssl.create_default_context(cafile=str(_SERVICE_ACCOUNT / "ca.crt"))
    namespace = (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    return Access(Endpoint(host=host, port=int(port), tls=tls), Token(file=str(_SERVICE_ACCOUNT / "token")), namespace)


def render_kubeconfig(server: str, authority_pem: bytes, token: str, name: str = "lateen") -> str:
    """A kubeconfig with one context."""
    authority = base64.b64encode(authority_pem).decode()
    return f"""apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {authority}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
users:
- name: {name}
  user:
    token: {token}
"""
