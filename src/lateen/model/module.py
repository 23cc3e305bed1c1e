"""WebAssembly modules that WasmPlugins and TrafficExtensions name by an address: which are wanted, and what was fetched."""

from msgspec import Struct

from lateen.util.redact import Secret

__all__ = ["Module", "ModuleRef", "WantedModule"]


class ModuleRef(Struct, frozen=True, kw_only=True):
    """What identifies a module. `pull`: the object's generation where each of its forms is fetched anew, else 0.

    `secret` is the namespace and name of what opens the registry; "" where nothing is needed.
    """

    url: str
    sha256: str = ""
    pull: int = 0
    secret: str = ""


class WantedModule(Struct, frozen=True):
    """A module to fetch; `credentials` are a docker configuration."""

    ref: ModuleRef
    credentials: Secret | None = None


class Module(Struct, frozen=True, kw_only=True):
    """What was fetched for an object: perhaps of its form before, with the `failure` of the newest."""

    ref: ModuleRef
    data: bytes = b""
    failure: str = ""
