"""Analysis of 2,000 files: CPU time and memory."""

import json
import subprocess
import sys
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

# A child's greatest memory counts its parent's before exec, so a small process of its own starts it and reads the figures.
MEASURED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
ran = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=100)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([ran.returncode, ran.stdout[:2000], used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, time.perf_counter() - began]))
"""


def test_two_thousand_files(tmp_path: Path) -> None:
    """Ten CPU seconds and 500 MB at most; nothing is wrong in them."""
    for number in range(FILES):
        (tmp_path / f"{number}.yaml").write_text(TEXT.format(n=number, ns=number % 20))
    command = [sys.executable, "-c", MEASURED, str(Path(sys.executable).with_name("lateen")), "analyze", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    code, said, cpu, megabytes, seconds = json.loads(ran.stdout)
    print(f"\n{FILES} files: {cpu:.1f} s CPU, {seconds:.1f} s, {megabytes} MB")
    assert code == 0, said
    assert cpu < 10
    assert megabytes < 500
