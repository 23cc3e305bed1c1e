"""The graph as JSON-able data: what exists, how large it is, what each node read.

Why: "why did this run, what would this change" must be answerable in a running control plane.
Must not print values or problems: values may be large or secret, problems are `Graph.problems()`.
"""

# ruff: noqa: SLF001 (the classes of this package are one engine; its users see none of these names)

from lateen.graph.collection import Collection, Ordered, Source, Wide
from lateen.graph.commit import Graph
from lateen.graph.derive import Derived, Node
from lateen.graph.failure import FAILED
from lateen.graph.index import Index
from lateen.graph.read import pairs

__all__ = ["dump"]


def dump(graph: Graph) -> dict[str, object]:
    """Collections and indexes in rank order; nodes that read `all` or `keys` are counted as wide."""
    return {
        "revision": graph.revision,
        "ran": dict(graph.counters),
        "collections": [_source(source) for source in graph._sources.values()],
    }


def _source(source: Source) -> dict[str, object]:
    shown: dict[str, object] = {"name": source.name, "kind": source.kind, "rank": source.rank}
    shown["over"] = [parent.name for parent in source._parents]
    if isinstance(source, Collection):
        shown["size"] = len(source)
    if isinstance(source, Index):
        shown["groups"] = dict(sorted((_text(value), len(keys)) for value, keys in source._members.items()))
    if isinstance(source, Derived):
        nodes = [source._nodes[key] for key in sorted(source._nodes)]
        shown["wide"] = sum(any(isinstance(edge, Wide) for _, edge in pairs(node.edges)) for node in nodes)
        shown["failing"] = [_text(key) for key in sorted(source._problems) if _fails(source, key)]
        shown["nodes"] = [_node(node) for node in nodes]
    return shown


def _fails(source: Source, key: Ordered) -> bool:
    return any(problem.code == FAILED for problem in source._problems[key])


def _node(node: Node[Ordered]) -> dict[str, object]:
    reads = sorted((source.rank, source.name, isinstance(edge, Wide), _text(edge)) for source, edge in pairs(node.edges))
    return {"key": _text(node.key), "reads": [[name, text] for _, name, _, text in reads]}


def _text(value: object) -> str:
    """Keys as people write them: a tuple's parts joined by slashes."""
    if isinstance(value, Wide):
        return f"*{value.value}"
    if isinstance(value, tuple):
        return "/".join(_text(part) for part in value)
    return str(value)
