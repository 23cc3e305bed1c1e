"""What users write for Envoy itself: which kinds hold such text, and what of it is in a proxy's configuration.

Why: only Envoy can say whether it takes such a text, so it is tried before proxies get it (docs/decisions/019). Data only.
"""

from collections.abc import Mapping

from lateen.model.frame import Frame, Owner

__all__ = ["TEXT_KINDS", "Mark", "Texts"]

TEXT_KINDS = ("EnvoyFilter", "TrafficExtension", "WasmPlugin")

Mark = tuple[str, tuple[tuple[Owner, int], ...]]  # type URL, and which texts (a change's index, or 0) of which objects are in it, sorted
Texts = Mapping[Mark, tuple[Frame, ...]]  # what these texts made: frames as proxies would get them, a few of many
