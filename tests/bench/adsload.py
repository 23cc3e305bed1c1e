"""What a mesh of 1,000 services costs the control plane: `python tests/bench/adsload.py --adsload FOLDER [--proxies 200] [--sotw]`.

Writes the scenario as YAML, builds the load generator in FOLDER with Go, starts `lateen discovery` on the YAML, plays the proxies, changes
one VirtualService five times, and prints the generator's JSON line: CPU seconds (`cold_cpu_s`, `change_cpu_s`) and memory (`rss_mb`).
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import scenario  # type: ignore[import-not-found]  # the script beside this one

from lateen.testing.waiting import wait_until

CHANGES = 5


def build(source: Path, folder: Path) -> Path:
    """The load generator's binary."""
    shutil.copytree(source, folder / "adsload")
    subprocess.run(["go", "build", "-o", "adsload", "."], cwd=folder / "adsload", check=True)
    return folder / "adsload" / "adsload"


def measure(generator: Path, folder: Path, *, proxies: int, sotw: bool) -> str:
    """One run; the generator's JSON."""
    mesh = folder / "mesh"
    scenario.write(mesh)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    words = [sys.executable, "-m", "lateen.cli.main", "discovery", "--config-dir", str(mesh), "--grpcAddr", address]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--secureGRPCAddr", "", "--monitoringAddr", ""],
            stderr=log,
            env={**os.environ, "LATEEN_DATA_DIR": str(folder / "data")},
        )
    change = f"{sys.executable} {scenario.__file__} {mesh} mark-%d"
    options = ["-addr", address, "-n", str(proxies), "-pid", str(process.pid), "-wait", "120s", *(["-sotw"] if sotw else [])]
    options += ["-change", change, "-changes", str(CHANGES), "-want", "rds", "-contains", "mark-%d"]
    try:
        wait_until(lambda: "serving" in (folder / "log").read_text(), seconds=60, what="the control plane serves")
        return subprocess.run([generator, *options], capture_output=True, text=True, check=True, timeout=400).stdout
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--adsload", type=Path, required=True, help="folder of the load generator's source")
    parser.add_argument("--proxies", type=int, default=200)
    parser.add_argument("--sotw", action="store_true", help="state of the world instead of delta")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sys.stdout.write(measure(build(given.adsload, folder), folder, proxies=given.proxies, sotw=given.sotw))


if __name__ == "__main__":
    main()
