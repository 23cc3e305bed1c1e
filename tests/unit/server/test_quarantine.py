"""Objects that Envoy refused are set aside; those that were only beside them come back."""

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from lateen.ads.messages import RDS, Nack
from lateen.api.meta import Key, ObjectMeta
from lateen.model.frame import Owner
from lateen.model.scope import Proxy
from lateen.runtime.clock import SystemClock
from lateen.server.lastgood import Kept
from lateen.server.quarantine import Quarantine

REVIEWS, RATINGS, DETAILS = (Key("VirtualService", "default", name) for name in ("reviews", "ratings", "details"))
SERVICE = Key("Service", "default", "web")


class Form(Struct, frozen=True):
    """An object in one generation."""

    spec: str
    metadata: ObjectMeta = ObjectMeta(uid="first")


class Steps(SystemClock):
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        done = asyncio.Event()
        self.waiting.put_nowait(done)
        await done.wait()

    async def step(self) -> None:
        """Let the one who waits go on."""
        (await asyncio.wait_for(self.waiting.get(), 5)).set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class Mesh:
    """A quarantine, what it staged, and an Envoy that refuses texts with `bad` in them."""

    def __init__(self, kept: Mapping[Key, Kept] | None = None) -> None:
        self.clock = Steps()
        self.used: dict[Key, tuple[Form | None, int]] = {}
        self.forms: dict[Key, list[tuple[Form, int]]] = {}
        self.released = 0
        self.kept: Mapping[Key, Kept] = {}
        self.quarantine = Quarantine(self._stage, lambda _key: None, self._on_release, self.clock, self._keep)
        self.quarantine.restore(kept or {})

    def _keep(self, kept: Mapping[Key, Kept]) -> None:
        self.kept = dict(kept)

    def _on_release(self) -> None:
        self.released += 1

    def _stage(self, key: Key, obj: Struct | None) -> None:
        assert obj is None or isinstance(obj, Form)
        generation = next((number for form, number in self.forms[key] if form is obj), 0)
        self.used[key] = (obj, generation)

    def apply(self, key: Key, text: str, generation: int, uid: str = "first") -> None:
        """The API has a new form."""
        form = Form(text, ObjectMeta(uid=uid))
        self.forms.setdefault(key, []).append((form, generation))
        self._stage(key, self.quarantine.choose(key, form, generation))

    def refuse(self, *owners: Owner, certain: bool = True, proxy: str = "web-0") -> None:
        """An Envoy refuses what was made of these objects."""
        said = Nack(RDS, "bad regex", (), frozenset(owners), certain)
        self.quarantine.take([(Proxy(id=proxy, kind="sidecar", namespace="default", name=proxy, addresses=(), labels=()), said)])

    def texts(self) -> dict[str, str | None]:
        """What the graph uses, by name."""
        return {key.name: form.spec if form else None for key, (form, _) in self.used.items()}


def test_the_form_before_is_used_until_a_new_one_comes() -> None:
    """Refused generation 2 gives way to 1; a change of status keeps it so; generation 3 is given its chance."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "good", 1)
    mesh.apply(REVIEWS, "bad", 2)
    assert mesh.texts() == {"reviews": "bad"}
    mesh.refuse((REVIEWS, 2))
    assert mesh.texts() == {"reviews": "good"}
    mesh.apply(REVIEWS, "bad", 2)
    assert mesh.texts() == {"reviews": "good"}
    assert mesh.quarantine.refused[REVIEWS].message == "bad regex"
    assert mesh.released == 0
    mesh.apply(REVIEWS, "better", 3)
    assert (mesh.texts(), dict(mesh.quarantine.refused), mesh.released) == ({"reviews": "better"}, {}, 1)
    mesh.refuse((REVIEWS, 3))
    assert mesh.texts() == {"reviews": "good"}


def test_an_object_refused_from_the_start_is_not_used() -> None:
    """Without a form before, there is none; nor when that one is refused too."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "bad", 1)
    mesh.refuse((REVIEWS, 1))
    assert mesh.texts() == {"reviews": None}
    mesh.apply(RATINGS, "bad", 1)
    mesh.apply(RATINGS, "worse", 2)
    mesh.refuse((RATINGS, 2))
    mesh.refuse((RATINGS, 1))
    assert mesh.texts()["ratings"] is None


def test_a_deleted_object_is_forgotten() -> None:
    """A new object of the same name starts anew, even in the same generation."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "bad", 1)
    mesh.refuse((REVIEWS, 1))
    assert mesh.quarantine.choose(REVIEWS, None, 0) is None
    mesh.apply(REVIEWS, "good", 1)
    assert (mesh.texts(), dict(mesh.quarantine.refused), mesh.released) == ({"reviews": "good"}, {}, 1)


def test_what_is_not_certain_or_not_configuration_is_left_alone() -> None:
    """A refusal that may be about anything sets nothing aside; Services and other workloads' objects never are."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "good", 1)
    mesh.apply(SERVICE, "good", 1)
    mesh.refuse((REVIEWS, 1), certain=False)
    mesh.refuse((SERVICE, 1))
    mesh.refuse((REVIEWS, 7))
    assert mesh.texts() == {"reviews": "good", "web": "good"}
    assert dict(mesh.quarantine.refused) == {}


def test_what_decides_who_is_let_in_is_never_set_aside() -> None:
    """A refused policy, and one that is only suspected beside it, stay as they are; a route that is suspected with them does not."""
    mesh = Mesh()
    policies = [Key(kind, "default", kind.lower()) for kind in ("AuthorizationPolicy", "RequestAuthentication")]
    for key in (*policies, REVIEWS):
        mesh.apply(key, "new", 1)
    mesh.refuse(*((key, 1) for key in (*policies, REVIEWS)))
    assert mesh.texts() == {"authorizationpolicy": "new", "requestauthentication": "new", "reviews": None}


def test_the_proxies_that_refused_are_gathered() -> None:
    """Each proxy that says no to the same generation is named once."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "bad", 1)
    for proxy in ("web-0", "web-1", "web-0"):
        mesh.refuse((REVIEWS, 1), proxy=proxy)
    assert mesh.quarantine.refused[REVIEWS].proxies == ("web-0.default", "web-1.default")


def test_of_several_suspects_the_one_at_fault_is_found() -> None:
    """All are set aside at first; tried again in halves, only the bad one stays aside."""

    async def check(envoy: Callable[[Mesh], None]) -> None:
        mesh = Mesh()
        for key, text in ((DETAILS, "good"), (RATINGS, "bad"), (REVIEWS, "good")):
            mesh.apply(key, text, 1)
        mesh.refuse((DETAILS, 1), (RATINGS, 1), (REVIEWS, 1))
        assert set(mesh.texts().values()) == {None}
        for _ in range(4):
            await mesh.clock.step()
            envoy(mesh)
        assert mesh.texts() == {"details": "good", "ratings": None, "reviews": "good"}
        assert list(mesh.quarantine.refused) == [RATINGS]
        await mesh.quarantine.stop()

    def envoy(mesh: Mesh) -> None:
        if "bad" in mesh.texts().values():
            mesh.refuse(*((key, number) for key, (form, number) in mesh.used.items() if form and key not in taken))
        else:
            taken.update(key for key, (form, _) in mesh.used.items() if form)

    taken: set[Key] = set()
    asyncio.run(check(envoy))


def after_refusal() -> Mapping[Key, Kept]:
    """What is kept when generation 2 of `reviews` was refused, and 1 is used."""
    mesh = Mesh()
    mesh.apply(REVIEWS, "good", 1)
    mesh.apply(REVIEWS, "bad", 2)
    mesh.refuse((REVIEWS, 2))
    return mesh.kept


def test_after_a_restart_the_form_before_is_used_at_once() -> None:
    """Nothing is tried again, what was said is known, and a status written to the object changes nothing."""
    mesh = Mesh(after_refusal())
    for _ in range(2):
        mesh.apply(REVIEWS, "bad", 2)
        assert mesh.texts() == {"reviews": "good"}
    assert (mesh.quarantine.refused[REVIEWS].message, mesh.quarantine.refused[REVIEWS].generation) == ("bad regex", 2)
    assert mesh.released == 1  # the status is written anew
    mesh.quarantine.started()
    assert mesh.kept == after_refusal()


def test_generations_may_begin_anew_with_a_restart() -> None:
    """Those of a folder do: the form is known by what it says."""
    mesh = Mesh(after_refusal())
    mesh.apply(REVIEWS, "bad", 1)
    assert mesh.texts() == {"reviews": "good"}
    mesh.apply(REVIEWS, "better", 2)
    assert (mesh.texts(), mesh.kept) == ({"reviews": "better"}, {})


def test_another_form_after_a_restart_is_given_its_chance() -> None:
    """If it is refused too, the form kept is used; if that is refused, none, and none is kept."""
    mesh = Mesh(after_refusal())
    mesh.apply(REVIEWS, "worse", 3)
    assert (mesh.texts(), dict(mesh.quarantine.refused)) == ({"reviews": "worse"}, {})
    mesh.refuse((REVIEWS, 3))
    assert mesh.texts() == {"reviews": "good"}
    assert mesh.kept[REVIEWS].before == Form("good")
    mesh.refuse((REVIEWS, 0))
    assert mesh.texts() == {"reviews": None}
    assert mesh.kept[REVIEWS].before is None


def test_objects_that_are_gone_after_a_restart_are_forgotten() -> None:
    """One of the same name is another object when it is not the same in the API."""
    mesh = Mesh(after_refusal())
    mesh.apply(REVIEWS, "bad", 2, uid="second")
    assert mesh.texts() == {"reviews": "bad"}
    mesh.quarantine.started()
    assert mesh.kept == {}
    mesh.refuse((REVIEWS, 2))
    assert mesh.texts() == {"reviews": None}


def test_what_was_only_suspected_is_given_its_chance_after_a_restart() -> None:
    """The control plane died before it knew which of two was at fault; their forms before are not lost."""

    async def suspected() -> Mapping[Key, Kept]:
        mesh = Mesh()
        for key in (DETAILS, RATINGS):
            mesh.apply(key, "old", 1)
            mesh.apply(key, "new", 2)
        mesh.refuse((DETAILS, 2), (RATINGS, 2))
        assert set(mesh.texts().values()) == {"old"}
        await mesh.quarantine.stop()
        return mesh.kept

    mesh = Mesh(asyncio.run(suspected()))
    for key in (DETAILS, RATINGS):
        mesh.apply(key, "new", 2)
    assert mesh.texts() == {"details": "new", "ratings": "new"}
    mesh.refuse((RATINGS, 2))
    assert mesh.texts() == {"details": "new", "ratings": "old"}
