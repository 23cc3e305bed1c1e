"""`make test`: every test, in two parts, and one closing line for both.

Why two: what only computes shares the processors; what starts meshes and measures them runs alone, one after the other.
Both parts run even if the first fails. Must not choose tests: a new folder under tests/ is run without being named here.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALONE = ("behaviour", "bench")


def parts() -> list[tuple[str, list[str]]]:
    """The parts' names and pytest arguments."""
    folders = sorted({path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")})
    workers = str(min(4, len(os.sched_getaffinity(0))))
    together = [f"tests/{name}" for name in folders if name not in ALONE]
    alone = [f"tests/{name}" for name in folders if name in ALONE]
    return [("shared", ["-n", workers, *together]), *([("alone", alone)] if alone else [])]


def counts(report: Path) -> Counter[str]:
    """How many tests ended how, from pytest's own report; none where pytest did not get that far."""
    if not report.exists():
        return Counter()
    total: Counter[str] = Counter()
    for suite in ET.parse(report).iter("testsuite"):  # noqa: S314  (written by pytest a moment ago)
        whole = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
        total["failed"] += whole["failures"]
        total["errors"] += whole["errors"]
        total["skipped"] += whole["skipped"]
        total["passed"] += whole["tests"] - whole["failures"] - whole["errors"] - whole["skipped"]
    return total


def main() -> int:
    """Run the parts; the exit code is that of the first part that failed."""
    started, total, code = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in parts():
            report = Path(folder) / f"{name}.xml"
            command = [sys.executable, "-m", "pytest", f"--junitxml={report}", *arguments, *sys.argv[1:]]
            ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
            code = code or ended
            total += counts(report)
    said = ", ".join(f"{total[word]} {word}" for word in ("failed", "errors", "passed", "skipped") if total[word])
    print(f" make test: {said or 'nothing ran'} in {time.monotonic() - started:.2f}s ".center(100, "="), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
