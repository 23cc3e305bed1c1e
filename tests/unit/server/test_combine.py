"""One object from an API and a folder."""

from msgspec import Struct

from lateen.api.meta import Key
from lateen.server.combine import Combined

KEY = Key("Service", "default", "web")


class Form(Struct, frozen=True):
    """Of an object."""

    text: str


def test_the_api_wins_and_the_folder_waits_for_it_to_go() -> None:
    """Whatever the order in which they come; the problem names the object while both have it."""
    told: list[tuple[Struct | None, int]] = []
    both = Combined(lambda _key, obj, generation: told.append((obj, generation)))
    both.from_folder(KEY, Form("folder"), 1)
    assert both.problems() == ()
    both.from_api(KEY, Form("api"), 7)
    both.from_folder(KEY, Form("folder 2"), 2)
    assert told == [(Form("folder"), 1), (Form("api"), 7)]
    assert "Service default/web" in both.problems()[0].message
    both.from_api(KEY, None, 0)
    assert told[2:] == [(Form("folder 2"), 2)]
    both.from_folder(KEY, None, 0)
    assert told[3:] == [(None, 0)]
    assert both.problems() == ()


def test_an_object_of_the_api_stays_when_the_folder_loses_its_own() -> None:
    """The folder's form was never used."""
    told: list[tuple[Struct | None, int]] = []
    both = Combined(lambda _key, obj, generation: told.append((obj, generation)))
    both.from_api(KEY, Form("api"), 7)
    both.from_folder(KEY, Form("folder"), 1)
    both.from_folder(KEY, None, 0)
    assert told == [(Form("api"), 7)]
