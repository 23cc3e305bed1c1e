"""The one door: YAML or JSON in, typed objects and problems out.

Why: every object that comes from outside passes here, so that a mistake is told once, with file, line, object and
field, and nothing later needs to doubt a type. Bad input gives problems, never an exception. Must not open files.

Codes of problems: syntax, unknown-kind, unknown-field, duplicate-field, missing-field, wrong-type, wrong-value, one-of.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from sys import intern
from typing import Any, NamedTuple, TypeVar

import yaml
from msgspec import Struct

from lateen.api.decode_fields import Finding, Path
from lateen.api.decode_json import json_objects
from lateen.api.decode_lines import Lines
from lateen.api.decode_scalars import Refused, resolve, tagged
from lateen.api.decode_typed import Origin, message, problem, to_json, typed
from lateen.api.meta import Key
from lateen.util import collector
from lateen.util.problem import Problem

__all__ = ["Decoded", "Document", "Note", "decode_documents", "decode_message", "decode_object", "read_documents", "to_json"]

_HALVES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")  # JSON's pairs, which YAML refuses

T = TypeVar("T", bound=Struct)
Event = Any  # the YAML library's events: their attributes depend on their kind

_SHORT = 64
_DEEPEST = 100  # levels of one document
_ALIASED = 100_000  # nodes that the aliases of one text may stand for
_BROKEN = 100  # broken documents of one text that are told
_SEPARATOR = re.compile(r"^---(?=\s|\Z)", re.MULTILINE)


class Decoded(Struct, frozen=True):
    """One object of a file: `obj` is None where any problem is an error; `raw` is what its writer wrote."""

    obj: Struct | None
    raw: dict[str, Any]
    key: Key | None
    lines: Lines
    problems: tuple[Problem, ...]
    source: str

    def __repr__(self) -> str:  # `raw` may hold secrets
        return f"Decoded({self.key}, {len(self.problems)} problems, {self.source})"


class Note(NamedTuple):
    """Something wrong with the text itself."""

    code: str
    line: int
    message: str
    path: Path = ()


class Document(Struct, frozen=True):
    """One document of a text, JSON-shaped, before any type is known."""

    raw: Any
    lines: Lines
    source: str
    notes: tuple[Note, ...] = ()

    def problems(self, key: Key | None = None) -> tuple[Problem, ...]:
        """What is wrong with the text; `key` names the object that it is."""
        return tuple(_text_problem(note, self.source, key) for note in self.notes)


_ALIAS, _SCALAR = yaml.AliasEvent, yaml.ScalarEvent
_SEQUENCE, _SEQUENCE_END = yaml.SequenceStartEvent, yaml.SequenceEndEvent
_MAPPING, _MAPPING_END = yaml.MappingStartEvent, yaml.MappingEndEvent


def decode_documents(data: bytes, source: str) -> list[Decoded]:
    """All objects of a YAML stream or JSON text; lists (`kind: List`) are taken apart, empty documents left out."""
    with collector.paused():
        return [one for document in read_documents(data, source) for one in _objects(document)]


def decode_object(raw: object, *, lenient: bool = False) -> tuple[Struct | None, tuple[Problem, ...]]:
    """The typed form of an object from the API; `lenient` leaves unknown fields out with a warning (a newer API's)."""
    outcome = typed(raw, Origin(), lenient=lenient)
    return outcome.obj, outcome.problems


def decode_message(data: bytes, type_: type[T], source: str) -> tuple[T | None, tuple[Problem, ...]]:
    """A lone message such as MeshConfig or ProxyConfig; an empty text is the message with its defaults."""
    documents = list(read_documents(data, source))
    if len(documents) > 1:
        note = Note("syntax", documents[1].lines.at(()), "expected one document, found several")
        return None, (_text_problem(note, source),)
    document = documents[0] if documents else Document({}, Lines(dict), source)
    if document.notes:
        return None, document.problems()
    return message(document.raw, type_, Origin(source, document.lines))


def read_documents(data: bytes, source: str) -> Iterator[Document]:
    """The documents of a YAML stream or JSON text as plain data; what cannot be read is a document with problems."""
    try:
        text = _text(data)
    except Refused as refused:
        yield _broken(Note("syntax", refused.line, str(refused)), source)
        return
    yield from _json_documents(text, source) or _yaml_documents(text, source)


def _objects(document: Document) -> Iterator[Decoded]:
    raw, source = document.raw, document.source
    if isinstance(raw, dict) and str(raw.get("kind", "")).endswith("List") and isinstance(raw.get("items"), list):
        for index, item in enumerate(raw["items"]):
            lines = document.lines.below(("items", index))
            yield from _objects(Document(_of_list(raw, item), lines, source, document.notes))
        return
    if raw is None and document.notes:
        yield Decoded(None, {}, None, document.lines, document.problems(), source)
        return
    outcome = typed(raw, Origin(source, document.lines))
    problems = document.problems(outcome.key) + outcome.problems
    obj = None if document.notes else outcome.obj
    yield Decoded(obj, raw if isinstance(raw, dict) else {}, outcome.key, document.lines, problems, source)


def _of_list(parent: Mapping[str, Any], item: Any) -> Any:
    """An item of a typed list (`PodList`) need not repeat its kind."""
    kind = str(parent["kind"]).removesuffix("List")
    if not kind or not isinstance(item, dict) or "kind" in item:
        return item
    return {"apiVersion": parent.get("apiVersion"), "kind": kind} | item


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused("the file is UTF-16; save it as UTF-8", 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refused(f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8", line) from None


def _text_problem(note: Note, source: str, key: Key | None = None) -> Problem:
    origin = Origin(source, Lines(lambda: {note.path: note.line}))
    return problem(Finding(note.code, note.path, note.message), key, origin)


def _broken(note: Note, source: str) -> Document:
    return Document(None, Lines(lambda: {(): note.line}), source, (note,))


def _json_documents(text: str, source: str) -> list[Document]:
    found = json_objects(text, deepest=_DEEPEST) or ()
    return [Document(raw, _lines_of(text, start, end, text.count("\n", 0, start) + 1), source) for raw, start, end in found]


def _lines_of(text: str, start: int, end: int, first_line: int) -> Lines:
    return Lines(lambda: _index(text[start:end], first_line)[0])


def _yaml_documents(text: str, source: str) -> Iterator[Document]:
    """After a document that cannot be read, goes on at the next `---`."""
    start = aliased = 0
    for _ in range(_BROKEN):
        reader = _Reader(text, start, aliased)
        yield from reader.documents(source)
        separator = None if reader.stopped_at is None else _SEPARATOR.search(text, max(reader.stopped_at, start + 1))
        if separator is None:
            return
        start, aliased = separator.start(), reader.aliased
    yield _broken(
        Note("syntax", text.count("\n", 0, start) + 1, f"more than {_BROKEN} documents cannot be read; the rest is left out"), source
    )


class _Reader:
    """Makes plain data of YAML's events, from one place of the text on."""

    def __init__(self, text: str, start: int, aliased: int) -> None:
        self._text = text
        self._start = start
        self._first_line = text.count("\n", 0, start) + 1
        self._parser = yaml.CSafeLoader(text[start:] if start else text)
        self._next: Callable[[], Event] = self._parser.get_event
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._nodes = 0
        self.aliased = aliased  # nodes made by aliases so far
        self.stopped_at: int | None = None  # where the text stopped being YAML

    def documents(self, source: str) -> Iterator[Document]:
        try:
            while not isinstance(event := self._next(), yaml.StreamEndEvent):
                if isinstance(event, yaml.DocumentStartEvent):
                    yield from self._document(event, source)
        except yaml.YAMLError as error:
            note, self.stopped_at = self._explain(error)
            yield _broken(note, source)

    def _document(self, start: Event, source: str) -> Iterator[Document]:
        self._anchors, self._has_duplicates = {}, False
        event, raw, notes = self._next(), None, []
        try:
            raw = self._node(event, 0)
        except Refused as refused:
            notes.append(Note("syntax", refused.line, str(refused)))
        begin, end = self._start + start.start_mark.index, self._start + self._end_of_document().end_mark.index
        if self._has_duplicates:
            notes += _index(self._text[begin:end], self._line(start))[1]
        if raw is not None or notes:
            yield Document(raw, _lines_of(self._text, begin, end, self._line(start)), source, tuple(notes))

    def _end_of_document(self) -> Event:
        event = self._next()
        while not isinstance(event, yaml.DocumentEndEvent):
            event = self._next()
        return event

    def _line(self, event: Event) -> int:
        return int(event.start_mark.line) + self._first_line

    def _node(self, event: Event, depth: int) -> Any:
        kind = type(event)
        self._nodes += 1
        if kind is _SCALAR:
            value = self._scalar(event)
            if type(value) is str and len(value) <= _SHORT:
                value = intern(value)  # the same few words stand in thousands of documents
            if event.anchor:
                self._anchors[event.anchor] = (value, 1)
            return value
        if kind is _ALIAS:
            return self._alias(event)
        if depth >= _DEEPEST:
            raise Refused(f"the document is nested deeper than {_DEEPEST} levels", self._line(event))
        before = self._nodes
        if event.anchor:
            self._anchors[event.anchor] = None  # not finished
        made = self._mapping(depth + 1) if kind is _MAPPING else self._sequence(depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = (made, self._nodes - before)
        return made

    def _scalar(self, event: Event) -> Any:
        try:
            if event.implicit[0]:
                return resolve(event.value)
            if event.tag is None or event.implicit[1]:
                return event.value
            return tagged(event.tag, event.value)
        except Refused as refused:
            raise Refused(str(refused), self._line(event)) from None

    def _sequence(self, depth: int) -> list[Any]:
        made = []
        while type(event := self._next()) is not _SEQUENCE_END:
            made.append(self._node(event, depth))
        return made

    def _mapping(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[Any] = []
        while type(event := self._next()) is not _MAPPING_END:
            is_merge = type(event) is _SCALAR and event.value == "<<" and event.implicit[0]
            key = "<<" if is_merge else self._key(event)
            value = self._node(self._next(), depth)
            if is_merge:
                merged += self._merge(value, event)
            elif key in made:
                self._has_duplicates = True
            else:
                made[key] = value
        for other in merged:
            made = made | {key: value for key, value in other.items() if key not in made}
        return made

    def _key(self, event: Event) -> str:
        value = None if type(event) in (_MAPPING, _SEQUENCE) else self._node(event, 0)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return str(value)
        if not isinstance(value, str):
            raise Refused("a key must be text, not null, a list or a mapping", self._line(event))
        return value

    def _merge(self, value: Any, event: Event) -> list[dict[str, Any]]:
        others = value if isinstance(value, list) else [value]
        if not all(isinstance(other, dict) for other in others):
            raise Refused('"<<" takes a mapping, or a list of mappings', self._line(event))
        return others

    def _alias(self, event: Event) -> Any:
        known = self._anchors.get(event.anchor)
        if known is None:
            why = "stands for what it is itself a part of" if event.anchor in self._anchors else "is not defined before this line"
            raise Refused(f'the alias "*{event.anchor[:80]}" {why}', self._line(event))
        value, size = known
        self._nodes += size
        self.aliased += size
        if self.aliased > _ALIASED:
            raise Refused(f"the aliases stand for more than {_ALIASED} nodes", self._line(event))
        return copy.deepcopy(value)

    def _explain(self, error: yaml.YAMLError) -> tuple[Note, int]:
        mark: Any = getattr(error, "problem_mark", None)
        if mark is None:  # the reader below the scanner: a character that no YAML may hold
            at = self._start + int(getattr(error, "position", 0))
            return Note("syntax", self._text.count("\n", 0, at) + 1, "control characters are not allowed in YAML"), at + 1
        at = self._start + int(mark.index)
        if self._text[at : at + 1] == "\t":
            sentence = "a tab is used for indentation; YAML takes spaces only"
        else:
            begun: Any = getattr(error, "context_mark", None)
            where = f" ({getattr(error, 'context', '')}, begun on line {begun.line + self._first_line})" if begun else ""
            sentence = f"this is not YAML: {getattr(error, 'problem', 'unreadable')}{where}"
        return Note("syntax", int(mark.line) + self._first_line, sentence), at


def _index(text: str, first_line: int) -> tuple[dict[Path, int], list[Note]]:
    """The line of every field, and the fields given twice; of a text that cannot be read, as far as it can."""
    lines: dict[Path, int] = {(): first_line}
    doubles: list[Note] = []
    following: Callable[[], Event] = yaml.CSafeLoader(_HALVES.sub("?" * 12, text)).get_event

    def walk(event: Event, path: Path) -> None:
        if type(event) is _SEQUENCE:
            position = 0
            while type(item := following()) is not _SEQUENCE_END:
                lines.setdefault((*path, position), item.start_mark.line + first_line)
                walk(item, (*path, position))
                position += 1
        elif type(event) is _MAPPING:
            seen = set()
            while type(key := following()) is not _MAPPING_END:
                name, line = (*path, _key_text(key)), key.start_mark.line + first_line
                if name in seen and name[-1] != "<<":
                    doubles.append(Note("duplicate-field", line, f"the field is given twice; first on line {lines[name]}", name))
                seen.add(name)
                lines.setdefault(name, line)
                walk(following(), name)

    try:
        while not isinstance(event := following(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                walk(following(), ())
    except (yaml.YAMLError, RecursionError, Refused):
        pass
    return lines, doubles


def _key_text(event: Event) -> str:
    if type(event) is not _SCALAR:
        raise Refused("such a key has no path")
    value = resolve(event.value) if event.implicit[0] else event.value
    return str(value).lower() if isinstance(value, bool) else str(value)
