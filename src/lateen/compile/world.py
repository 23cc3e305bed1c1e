"""The whole graph, in order: what is read, who is connected, clusters, routes, listeners, names. The only file that knows all of it."""

from lateen.compile.autopassthrough import AutoPassthrough
from lateen.compile.base import Base
from lateen.compile.clusters import Clusters
from lateen.compile.credentials import Credentials
from lateen.compile.listeners import Listeners
from lateen.compile.nametable import Names
from lateen.compile.places import Places
from lateen.compile.proxyless import Proxyless
from lateen.compile.routes import Routes
from lateen.compile.scope import Scopes
from lateen.compile.startup import Startups
from lateen.graph import Graph
from lateen.model.mesh import Settings

__all__ = ["World", "build_world"]


class World:
    """The parts of the graph; each reads only the parts before it."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.settings = settings
        self.base = Base(graph, settings)
        self.scopes = Scopes(graph, self.base)
        self.clusters = Clusters(graph, self.base, self.scopes)
        self.places = Places(graph, self.base, self.scopes, self.clusters)
        self.passed_on = AutoPassthrough(graph, self.base, self.scopes, self.clusters, self.places)
        self.credentials = Credentials(graph, self.base, self.scopes, self.clusters)
        self.routes = Routes(graph, self.base, self.scopes, self.clusters)
        self.proxyless = Proxyless(graph, self.base, self.scopes, self.clusters, self.routes)
        self.listeners = Listeners(graph, self.base, self.scopes, self.clusters, self.passed_on, self.routes)
        self.names = Names(graph, self.base)
        self.startups = Startups(graph, self.base)
        self.inputs = self.base.inputs
        self.mesh = self.base.mesh
        self.proxies = self.base.proxies


def build_world(graph: Graph, settings: Settings) -> World:
    """Create all collections in `graph`."""
    return World(graph, settings)
