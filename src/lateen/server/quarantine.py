"""Objects that Envoy refused are set aside: the graph gets the form that they had before, or none, so that one of them holds nothing up.

Why (docs/decisions/009): a route configuration is made of many objects, and Envoy takes it as a whole or not at all. While the refused
form stays in it, no change of the others acts, and a proxy that starts has no routes. Where several objects are suspected, all are set
aside, then tried again in halves until the one at fault is found. A new generation of an object is always given its chance. What is set
aside is kept over restarts (`server.lastgood`). What decides who is let in is never set aside: proxies go on with
the rules they hold, and a rule that is only suspected must not be without force for a moment. Must not do I/O.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from lateen.ads.messages import Nack
from lateen.api.kinds import by_kind
from lateen.api.meta import Key, ObjectMeta
from lateen.model.frame import Owner
from lateen.model.scope import Proxy
from lateen.model.text import TEXT_KINDS
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock
from lateen.server.lastgood import Kept, digest_of
from lateen.server.refusals import Refusal, refusals_by_owner

__all__ = ["Quarantine"]

_GUARDS = ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication")
_TRIAL_SECONDS = 0.5  # in which every Envoy has answered
_log = log.get("quarantine")

Stage = Callable[[Key, Struct | None], None]
Keep = Callable[[Mapping[Key, Kept]], None]


class _Forms(Struct):
    """An object as the API has it, and the last form before it that was not refused."""

    newest: Struct
    generation: int
    before: Struct | None = None
    generation_before: int = 0


class Quarantine:
    """`choose` is told all that the API says; `take` all refusals; `stage` is called when another form is to be used, `changed` when
    objects are or are not set aside otherwise than by `take`, `keep` with all that a restart must `restore`.
    """

    def __init__(
        self,
        stage: Stage,
        forget: Callable[[Key], None],
        changed: Callable[[], None],
        clock: Clock,
        keep: Keep,
    ) -> None:
        self._stage = stage
        self._forget = forget
        self._changed = changed
        self._clock = clock
        self._forms: dict[Key, _Forms] = {}
        self._refused: dict[Key, Refusal] = {}
        self._kept: dict[Key, Kept] = {}
        self._keep = keep
        self._suspects: deque[tuple[Owner, ...]] = deque()
        self._trials: asyncio.Task[None] | None = None

    @property
    def refused(self) -> Mapping[Key, Refusal]:
        """The objects that are set aside, and what was said of them."""
        return self._refused

    async def stop(self) -> None:
        """Try nothing any more."""
        if self._trials is not None:
            await tasks.cancel_all(self._trials)

    def choose(self, key: Key, obj: Struct | None, generation: int) -> Struct | None:
        """The form to use of an object whose newest form is `obj` (None: it is gone)."""
        info = by_kind(key.kind)
        if obj is None:
            self._forms.pop(key, None)
            if self._release(key):
                self._store()
            self._forget(key)
        elif info is not None and info.is_istio and generation:
            return self._form(key, obj, generation)
        return obj

    def _form(self, key: Key, obj: Struct, generation: int) -> Struct | None:
        forms = self._forms.get(key)
        if forms is None:
            return self._first(key, obj, generation)
        if forms.generation == generation:
            forms.newest = obj
            return forms.before if key in self._refused else obj
        if self._release(key):
            forms.newest, forms.generation = obj, generation
            self._store()
        else:
            self._forms[key] = _Forms(obj, generation, forms.newest, forms.generation)
        return obj

    def _first(self, key: Key, obj: Struct, generation: int) -> Struct | None:
        """The form to use of an object that this run has not seen before; the last run may have."""
        self._forms[key] = forms = _Forms(obj, generation)
        kept = self._kept.get(key)
        if kept is None or kept.uid != _uid(obj):
            return obj
        forms.before = kept.before
        if not kept.judged or kept.digest != digest_of(obj):
            return obj
        _log.warning("Envoy refused an object before the restart; its form before is used", object=str(key), message=kept.refusal.message)
        self._refused[key] = replace(kept.refusal, generation=generation)
        self._changed()
        return forms.before

    def restore(self, kept: Mapping[Key, Kept]) -> None:
        """What the last run set aside; told before any object is."""
        self._kept.update(kept)

    def started(self) -> None:
        """All objects have been told: what else was kept is of objects that are gone."""
        self._kept.clear()
        self._store()

    def _store(self) -> None:
        suspects = {key for owners in self._suspects for key, _ in owners}
        kept = {}
        for key, refusal in self._refused.items():
            newest, before = self._forms[key].newest, self._forms[key].before
            digest = digest_of(newest)
            kept[key] = Kept(uid=_uid(newest), digest=digest, refusal=refusal, before=before, judged=key not in suspects)
        self._keep({**self._kept, **kept})

    def _release(self, key: Key) -> bool:
        """Set the object aside no longer; whether it was."""
        found = self._refused.pop(key, None) is not None
        if found:
            self._kept.pop(key, None)
            self._changed()
        return found

    def take(self, nacks: Iterable[tuple[Proxy, Nack]]) -> None:
        """Set aside what these refusals are certainly about."""
        certain = [(proxy, self._likely(nack)) for proxy, nack in nacks if nack.certain]
        found = {key: refusal for key, refusal in refusals_by_owner(certain).items() if self._refuse(key, refusal)}
        if len(found) > 1:
            self._split(tuple((key, found[key].generation) for key in sorted(found)))
        if found:
            self._store()

    def _likely(self, nack: Nack) -> Nack:
        """The refusal, about Envoy's text of users alone where such a text had its part: what was compiled is seldom at fault."""
        texts = tuple((key, generation) for key, generation in nack.owners if key.kind in TEXT_KINDS and self._in_use(key, generation))
        return replace(nack, owners=texts) if texts else nack

    def _in_use(self, key: Key, generation: int) -> bool:
        forms, known = self._forms.get(key), self._refused.get(key)
        return forms is not None and generation == (forms.generation if known is None else forms.generation_before)

    def _refuse(self, key: Key, refusal: Refusal) -> bool:
        """Whether the object's newest form is set aside by this, for the first time."""
        forms, known = self._forms.get(key), self._refused.get(key)
        if forms is None or key.kind in _GUARDS:
            return False
        if known is None and refusal.generation == forms.generation:
            _log.warning("Envoy refused an object; its form before is used", object=str(key), message=refusal.message)
            self._refused[key] = refusal
            self._stage(key, forms.before)
            return True
        if known is not None and refusal.generation == known.generation:
            proxies = tuple(dict.fromkeys((*known.proxies, *refusal.proxies)))
            self._refused[key] = Refusal(known.generation, known.message, proxies)
        elif known is not None and forms.before is not None and refusal.generation == forms.generation_before:
            forms.before = None
            self._stage(key, None)
            self._store()
        return False

    def _split(self, suspects: tuple[Owner, ...]) -> None:
        middle = len(suspects) // 2
        self._suspects += (suspects[:middle], suspects[middle:])
        if self._trials is None or self._trials.done():
            self._trials = tasks.spawn(self._try(), name="trials of refused objects")

    async def _try(self) -> None:
        while self._suspects:
            await self._clock.sleep(_TRIAL_SECONDS)
            for key, generation in self._suspects.popleft():
                forms = self._forms.get(key)
                if forms is not None and forms.generation == generation and self._release(key):
                    self._stage(key, forms.newest)
            self._store()


def _uid(obj: Struct) -> str:
    meta = getattr(obj, "metadata", None)
    return meta.uid if isinstance(meta, ObjectMeta) else ""
