"""Analysis of 2,000 files: CPU time and memory."""

import resource
import subprocess
import sys
import time
from pathlib import Path

FILES = 2000
TEXT = """apiVersion: v1
kind: Service
metadata: {{name: s{n}, namespace: ns{ns}}}
spec: {{selector: {{app: s{n}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: s{n}, namespace: ns{ns}}}
spec:
  selector: {{matchLabels: {{app: s{n}}}}}
  template:
    metadata: {{labels: {{app: s{n}, version: v1}}}}
    spec: {{containers: [{{name: web, image: web}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{n}, namespace: ns{ns}}}
spec:
  hosts: [s{n}]
  http:
    - route: [{{destination: {{host: s{n}, subset: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{n}, namespace: ns{ns}}}
spec:
  host: s{n}
  subsets: [{{name: v1, labels: {{version: v1}}}}]
"""


def test_two_thousand_files(tmp_path: Path) -> None:
    """Ten CPU seconds and 500 MB at most; nothing is wrong in them."""
    for number in range(FILES):
        (tmp_path / f"{number}.yaml").write_text(TEXT.format(n=number, ns=number % 20))
    command = [str(Path(sys.executable).with_name("lateen")), "analyze", str(tmp_path)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"\n{FILES} files: {cpu:.1f} s CPU, {time.perf_counter() - began:.1f} s, {after.ru_maxrss // 1024} MB")
    assert ran.returncode == 0, ran.stdout[:2000]
    assert cpu < 10
    assert after.ru_maxrss < 500 * 1024
