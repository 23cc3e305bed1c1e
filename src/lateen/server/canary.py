"""What users write for Envoy itself is tried on an Envoy beside the fleet before a proxy gets it (docs/decisions/019).

Why: a proxy that is given a bad text refuses all that came with it, and a script may even end or stop the Envoy that loads it; here only
an Envoy that serves nobody is lost. Each set of texts is tried once, on frames as proxies would get them. Where the Envoy cannot be run,
texts go to proxies untried, and `server.quarantine` is alone. Must not decide what happens to what was refused.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count

from msgspec import Struct

from lateen.ads.messages import CDS, LDS, Nack
from lateen.ads.nack import named_in
from lateen.api.meta import Key
from lateen.model.frame import Frame
from lateen.model.scope import Proxy
from lateen.model.text import TEXT_KINDS, Mark, Texts
from lateen.runtime import log, tasks
from lateen.server.trialenvoy import Cage, LostError, TrialEnvoy
from lateen.xds.trial import Trial, build_stand_in, build_trial

__all__ = ["CANARY", "Canary"]

CANARY = Proxy(id="canary", kind="sidecar", namespace="istio-system", name="canary", addresses=(), labels=())
_PATIENCE = 10.0  # seconds; it takes milliseconds
_log = log.get("canary")


class _Refusal(Struct, frozen=True):
    """Envoy's words, and the frame that they are about."""

    words: str
    frame: Frame


class _Candidate(Struct, frozen=True):
    """Texts, what they made, and the clusters that it may name."""

    mark: Mark
    frames: tuple[Frame, ...]
    clusters: Collection[str]


class _UnclearError(Exception):
    """Envoy's words about a load, of which it is not known what in it they are about."""


class Canary:
    """`judged` is called with the refusals, maybe none, whenever texts that were not admitted have been tried."""

    def __init__(self, cage: Cage, judged: Callable[[tuple[Nack, ...]], None], patience: float = _PATIENCE) -> None:
        self._envoy = TrialEnvoy(cage, patience)
        self._judged = judged
        self._admitted: set[Mark] = set()
        self._waiting: dict[Mark, _Candidate] = {}
        self._under_way: frozenset[Mark] = frozenset()
        self._numbers = count(1)
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Be ready; the Envoy is started with the first text."""
        self._task = tasks.spawn(self._run(), name="canary")

    async def stop(self) -> None:
        """Try nothing any more."""
        if self._task is not None:
            await tasks.cancel_all(self._task)
        await self._envoy.stop()

    def admits(self, texts: Texts, clusters: Collection[str]) -> bool:
        """Whether a proxy with these texts and clusters may have them; those that were never tried are."""
        new = [mark for mark in texts if mark not in self._admitted]
        for mark in new:
            if mark not in self._under_way:
                self._waiting[mark] = _Candidate(mark, texts[mark], clusters)
                self._wanted.set()
        return not new

    def forget(self, key: Key) -> None:
        """The object is gone; one of the same name may come and count its generations anew."""
        self._admitted = {mark for mark in self._admitted if all(owner[0] != key for owner, _ in mark[1])}

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            candidates, self._waiting = tuple(self._waiting.values()), {}
            marks = self._under_way = frozenset(one.mark for one in candidates)
            try:
                refused = await self._judge(candidates)
            except Exception as error:  # noqa: BLE001  (whatever it is, no proxy may wait for ever)
                _log.warning("no canary: what users write for Envoy goes to proxies untried", error=str(error) or repr(error))
                refused = {}
            self._under_way = frozenset()
            self._admitted |= marks
            self._judged(tuple(_nack(mark, refusal) for mark, refusal in refused.items()))
            self._admitted -= refused.keys()  # what comes again in spite of it is tried again

    async def _judge(self, candidates: Sequence[_Candidate]) -> Mapping[Mark, _Refusal]:
        """All at once; where it is not known whose a refusal is, each alone."""
        try:
            return await self._try(candidates)
        except (LostError, _UnclearError):
            pass
        refused: dict[Mark, _Refusal] = {}
        for one in candidates:
            try:
                refused |= await self._try((one,))
            except (LostError, _UnclearError) as error:
                refused[one.mark] = _Refusal(f"{one.frames[0].name}: {error}", one.frames[0])
        return refused

    async def _try(self, candidates: Sequence[_Candidate]) -> Mapping[Mark, _Refusal]:
        trials = [(one, frame, build_trial(frame, next(self._numbers))) for one in candidates for frame in one.frames]
        named = {word for one, _, trial in trials if trial.frame.type_url == LDS for word in trial.words & set(one.clusters)}
        stand_ins = tuple(build_stand_in(name) for name in sorted(named))
        clusters, listeners = (tuple(trial.frame for _, _, trial in trials if trial.frame.type_url == url) for url in (CDS, LDS))
        refused: dict[Mark, _Refusal] = {}
        for words in await self._envoy.load(stand_ins, clusters, listeners):
            about = [found for found in trials if named_in(words, found[2].frame.name)]
            if not about:
                raise _UnclearError(words)
            for one, frame, trial in about:
                if not _about_a_file(words, trial):
                    refused.setdefault(one.mark, _Refusal(words.replace(trial.frame.name, frame.name), frame))
        return refused


def _about_a_file(words: str, trial: Trial) -> bool:
    """Whether Envoy misses a file, which proxies may have."""
    return any(word.startswith("/") and word != "/" and word in words for word in trial.words)


def _nack(mark: Mark, refusal: _Refusal) -> Nack:
    owners = frozenset(owner for owner, _ in mark[1] if owner[0].kind in TEXT_KINDS)
    return Nack(mark[0], refusal.words, (refusal.frame,), owners, certain=True)
