"""The incremental collection engine: `from lateen.graph import Graph`, then read README.md (one page).

Entry point: `commit.Graph`. May import only `lateen.util`; pure: no I/O, clock, randomness, threads or environment.
"""

from lateen.graph.collection import Collection, GraphError, Input
from lateen.graph.commit import Commit, Graph
from lateen.graph.index import Index
from lateen.graph.read import Read

__all__ = ["Collection", "Commit", "Graph", "GraphError", "Index", "Input", "Read"]
