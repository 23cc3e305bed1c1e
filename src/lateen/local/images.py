"""What runs in place of a container's image: the user's own word first, then the table of samples.

Why: a machine without containers has no images. A user names a command in the pod's annotation `lateen.io/command` (for one
container of several `lateen.io/command.<container>`), or for an image in `lateen.yaml`. Must not start anything.
"""

import json
import shlex
from collections.abc import Mapping

from lateen.local.sandbox import CannotStartError
from lateen.samples.images import Command, resolve

__all__ = ["ANNOTATION", "ImageTableError", "Images", "parse_command", "parse_table"]

ANNOTATION = "lateen.io/command"


class ImageTableError(ValueError):
    """A sentence saying what is wrong with a user's table of images."""


def parse_command(value: object) -> tuple[str, ...]:
    """A command as a list, a JSON list in a string, or a line as a shell would split it; ValueError says what is wrong."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = json.loads(value)
    if isinstance(value, str):
        value = shlex.split(value)
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError("expected a command line, or a list of strings")
    return tuple(value)


def parse_table(raw: object, source: str) -> Mapping[str, tuple[str, ...]]:
    """The field `images` of lateen.yaml: image to command."""
    if not isinstance(raw, Mapping):
        raise ImageTableError(f"{source}: images: expected a map from an image to the command that runs instead of it")
    table = {}
    for image, value in raw.items():
        try:
            table[str(image)] = parse_command(value)
        except ValueError as error:
            raise ImageTableError(f"{source}: images.{image}: {error}") from None
    return table


class Images:
    """The tables of one mesh."""

    def __init__(self, table: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._table = dict(table or {})

    def command(
        self, container: str, image: str, annotations: Mapping[str, str], command: tuple[str, ...], args: tuple[str, ...]
    ) -> Command:
        """What to run; CannotStartError names the remedies when nobody knows."""
        for name in (f"{ANNOTATION}.{container}", ANNOTATION):
            if name in annotations:
                try:
                    return Command((*parse_command(annotations[name]), *args))
                except ValueError as error:
                    raise CannotStartError("InvalidImageName", f"Annotation {name}: {error}.") from None
        found = resolve(image, command, args, extra=self._table)
        if found is None:
            if command:
                raise CannotStartError(
                    "ErrImagePull",
                    f"Image {image}: its command {command[0]} is not a program of this machine. Install it, or name another one with "
                    f'the annotation {ANNOTATION}: "PROGRAM ARGUMENTS" on the pod.',
                )
            raise CannotStartError(
                "ErrImagePull",
                f"Image {image} is not in the table of images, and there are no containers here to run it. Say what runs instead with "
                f'the annotation {ANNOTATION}: "PROGRAM ARGUMENTS" on the pod, or in lateen.yaml with images: {{{image}: "PROGRAM '
                'ARGUMENTS"}.',
            )
        return found
