"""How far an object's newest form has come: which proxies are to hold something made of it, and which have answered that they do.

Why from frames: a frame carries the objects it was made from, so nobody is asked. An object of which no frame is made (a policy that
only takes things away, a rule for a host that nobody calls) is held by every proxy that has answered everything. Must not wait.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lateen.ads.stream import Stream
from lateen.api.meta import Key
from lateen.model.frame import Frame

__all__ = ["Progress", "progress"]

Owned = Mapping[Key, tuple[tuple[Frame, int], ...]]  # frames made from the object, and from which generation


class Progress(NamedTuple):
    """Of `concerned` proxies so many hold it."""

    holding: int
    concerned: int


def progress(streams: Iterable[Stream], wanted: Mapping[Key, int]) -> Mapping[Key, Progress]:
    """For each object and generation. Proxies that share a set of frames share the search in it."""
    streams = tuple(streams)
    owned: dict[int, Owned] = {}
    lacking: dict[Key, list[bool]] = {key: [] for key in wanted}
    for stream in streams:
        found: dict[Key, bool] = {}
        for type_url in stream.types:
            frames = stream.desired(type_url)
            if id(frames) not in owned:
                owned[id(frames)] = _owned(frames, wanted)
            for key, made in owned[id(frames)].items():
                seen = [
                    generation < wanted[key] or stream.lacks(type_url, frame.name)
                    for frame, generation in made
                    if stream.asks(type_url, frame.name)
                ]
                if seen:
                    found[key] = found.get(key, False) or any(seen)
        for key, lacks in found.items():
            lacking[key].append(lacks)
    settled = sum(not any(stream.behind(type_url) for type_url in stream.types) for stream in streams)
    return {
        key: Progress(len(lacks) - sum(lacks), len(lacks)) if lacks else Progress(settled, len(streams)) for key, lacks in lacking.items()
    }


def _owned(frames: Mapping[str, Frame], wanted: Mapping[Key, int]) -> Owned:
    found: dict[Key, list[tuple[Frame, int]]] = {}
    for frame in frames.values():
        for key, generation in frame.owners:
            if key in wanted:
                found.setdefault(key, []).append((frame, generation))
    return {key: tuple(made) for key, made in found.items()}
