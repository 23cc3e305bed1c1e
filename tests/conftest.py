"""What all tests share: where the repository and the shared cases are, and how hypothesis behaves."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# What gRPC does before a fork goes wrong beside its own threads, and ends the child: tests that start a program as another user fork.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

ROOT = Path(__file__).resolve().parent.parent

# The same examples each time in continuous integration; fresh ones at a desk. Speed is measured by tests/bench only.
settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "desk")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cases`: another folder of peer cases of the same form; `--update-golden`: write golden files anew."""
    parser.addoption("--cases", default=str(ROOT.parent / "shared" / "cases"), help="folder of the peer cases")
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_cases(request: pytest.FixtureRequest) -> Path:
    """The folder of cases beside the repository or `--cases`; tests that read it are skipped where it is absent."""
    cases = Path(request.config.getoption("--cases"))
    if not cases.is_dir():
        pytest.skip(f"no shared cases at {cases}")
    return cases
