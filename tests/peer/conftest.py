"""What all peer sets share: where the cases are, known gaps, and the count of passed cases per set."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
_CASES = _HERE.parents[2] / "shared" / "cases"
_GAPS: dict[str, dict[str, str]] = tomllib.loads((_HERE / "known_gaps.toml").read_text())


@pytest.fixture(scope="session")
def cases_dir(shared_cases: Path) -> Path:
    """The folder of cases (`--cases DIR`)."""
    return shared_cases


def _set_of(file: str) -> str:
    return Path(file).stem.removeprefix("test_").replace("_", "-")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A known gap must fail: one that passes, or is no case, fails the run until its line is removed from known_gaps.toml."""
    collected: dict[str, set[str]] = {}
    for item in items:
        if item.path.parent != _HERE:
            continue
        _, bracket, rest = item.name.partition("[")
        collected.setdefault(_set_of(item.path.name), set()).add(rest.removesuffix("]"))
        reason = _GAPS.get(_set_of(item.path.name), {}).get(rest.removesuffix("]")) if bracket else None
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if any("::" in argument for argument in config.args) or Path(config.getoption("--cases")) != _CASES:
        return
    stale = [f"{name}: {case}" for name, cases in collected.items() for case in _GAPS.get(name, {}) if case not in cases]
    if stale and _CASES.is_dir():
        raise pytest.UsageError(f"tests/peer/known_gaps.toml names no case with: {', '.join(stale)}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Passed and total of each set."""
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if outcome in {"passed", "failed", "xfailed", "xpassed"} and report.nodeid.startswith("tests/peer/"):
                name = _set_of(report.nodeid.partition("::")[0])
                total[name] += 1
                passed[name] += outcome == "passed"
    if total:
        terminalreporter.section("peer cases")
    for name in sorted(total):
        terminalreporter.write_line(f"{name}: {passed[name]}/{total[name]}")
