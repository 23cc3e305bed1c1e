"""The debug dump, and the README's example."""

import json
import re
from pathlib import Path

from lateen.graph import Graph, Input
from lateen.graph.debug import dump


def test_the_dump_tells_sizes_reads_wide_and_failing_nodes_but_no_values() -> None:
    """JSON-able, in rank order."""
    graph = Graph()
    pods: Input[tuple[str, str], str] = graph.input("pods")
    by_app = graph.index("by app", pods, lambda _key, app: [app])
    apps: Input[str, str] = graph.input("apps")
    graph.one("view", apps, lambda read, key, _value: ((tuple(read.by_index(by_app, key)), read.keys(pods)), ()))
    graph.one("broken", apps, lambda read, key, _value: (int(read.get(apps, key) or ""), ()))
    pods.set(("shop", "cart-1"), "cart")
    apps.set("cart", "password")
    graph.commit()
    shown = dump(graph)
    assert json.loads(json.dumps(shown)) == shown
    assert "password" not in json.dumps(shown)
    assert shown["revision"] == 1
    assert shown["ran"] == {"view": 1, "broken": 1}
    assert shown["collections"] == [
        {"name": "pods", "kind": "input", "rank": 0, "over": [], "size": 1},
        {"name": "by app", "kind": "index", "rank": 1, "over": ["pods"], "groups": {"cart": 1}},
        {"name": "apps", "kind": "input", "rank": 2, "over": [], "size": 1},
        {
            "name": "view", "kind": "one", "rank": 3, "over": ["apps"], "size": 1, "wide": 1, "failing": [],
            "nodes": [{"key": "cart", "reads": [["pods", "*keys"], ["by app", "cart"]]}],
        },
        {
            "name": "broken", "kind": "one", "rank": 4, "over": ["apps"], "size": 0, "wide": 0, "failing": ["cart"],
            "nodes": [{"key": "cart", "reads": [["apps", "cart"]]}],
        },
    ]  # fmt: skip


def test_the_readme_example_runs(root: Path) -> None:
    """What the README shows is true: its assertions hold."""
    text = (root / "src" / "lateen" / "graph" / "README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(examples) == 1
    exec(examples[0], {})
