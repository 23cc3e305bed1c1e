"""One command for each check, the same on a developer's machine and in continuous integration: `nox -s NAME`.

Sessions use the environment that nox itself runs in (.venv), so none of them needs the network (`lock` does). Must not
install anything: `make setup-dev` does.
"""

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "unit", "golden", "peer", "props", "meta"]

BIN = Path(sys.executable).parent
LOCK = ("--universal", "--generate-hashes", "--python-version", "3.11", "--no-emit-index-url", "--no-header", "--quiet")


def pytest(session: nox.Session, folder: str, *options: str) -> None:
    session.run(sys.executable, "-m", "pytest", *options, f"tests/{folder}", *session.posargs)


@nox.session
def fmt(session: nox.Session) -> None:
    """Put the code into the house's format."""
    session.run(str(BIN / "ruff"), "format")
    session.run(str(BIN / "ruff"), "check", "--fix", "--quiet")


@nox.session
def lint(session: nox.Session) -> None:
    """Format, ruff's rules, and who may import whom."""
    session.run(str(BIN / "ruff"), "format", "--check")
    session.run(str(BIN / "ruff"), "check")
    session.run(str(BIN / "lint-imports"), "--no-logo")


@nox.session
def types(session: nox.Session) -> None:
    """Types, strictly."""
    session.run(str(BIN / "mypy"))


@nox.session
def unit(session: nox.Session) -> None:
    """Functions called directly."""
    pytest(session, "unit", "-n", "2")


@nox.session
def golden(session: nox.Session) -> None:
    """YAML in, plans and Envoy configuration out."""
    pytest(session, "golden", "-n", "2")


@nox.session
def peer(session: nox.Session) -> None:
    """What other implementations do, as cases (`-- --cases DIR` names another folder of them)."""
    pytest(session, "peer", "-n", "2")


@nox.session
def props(session: nox.Session) -> None:
    """Properties that hold for any input."""
    pytest(session, "props", "-n", "2")


@nox.session
def meta(session: nox.Session) -> None:
    """The house's own rules."""
    pytest(session, "meta")


@nox.session
def behaviour(session: nox.Session) -> None:
    """Whole meshes with real Envoys."""
    pytest(session, "behaviour")


@nox.session
def audit(session: nox.Session) -> None:
    """Known weaknesses of the pinned packages."""
    session.run(str(BIN / "pip-audit"), "--strict", "--require-hashes", "--disable-pip", "-r", "requirements.lock", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Load while certificates and the authority change; LATEEN_SOAK_SECONDS says how long."""
    pytest(session, "behaviour/test_soak.py", "-s")


@nox.session
def bench(session: nox.Session) -> None:
    """Times and memory against their budgets, printed."""
    pytest(session, "bench", "-s")


@nox.session
def lock(session: nox.Session) -> None:
    """Write requirements-dev.lock, then requirements.lock with the same versions."""
    uv = str(BIN / "uv")
    compile_ = (uv, "pip", "compile", *LOCK, "--group", "build", "pyproject.toml")
    session.run(*compile_, "--group", "dev", "-o", "requirements-dev.lock", *session.posargs)
    session.run(*compile_, "-c", "requirements-dev.lock", "-o", "requirements.lock", *session.posargs)
