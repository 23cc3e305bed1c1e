"""What analysers read: objects in the shape of JSON, found by kind; and what they say.

Why JSON and not types: analysers also read kinds of Kubernetes that nothing else here has a type for, and objects that are partly
wrong. Must not judge anything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from msgspec import Struct

from lateen.api.decode import Decoded, decode_object
from lateen.api.decode_lines import Lines
from lateen.api.decode_typed import to_json
from lateen.api.meshconfig import MeshConfig
from lateen.api.validate.report import Verdict
from lateen.api.validate.run import validate
from lateen.util.problem import Problem

__all__ = ["Finding", "Item", "Objects", "full_name", "item_of", "items_of", "listing", "part", "strings", "text"]

Json = Mapping[str, object]
Step = str | int


def part(value: object, *steps: Step) -> Mapping[str, object]:
    """The map at that path, empty where there is none."""
    found = _at(value, steps)
    return found if isinstance(found, Mapping) else {}


def listing(value: object, *steps: Step) -> Sequence[Mapping[str, object]]:
    """The list of maps at that path."""
    found = _at(value, steps)
    return [each if isinstance(each, Mapping) else {} for each in found] if isinstance(found, (list, tuple)) else []


def strings(value: object, *steps: Step) -> list[str]:
    """The list of texts at that path."""
    found = _at(value, steps)
    return [each for each in found if isinstance(each, str)] if isinstance(found, (list, tuple)) else []


def text(value: object, *steps: Step) -> str:
    """The text, number or truth at that path as text; "" where there is none."""
    found = _at(value, steps)
    if isinstance(found, bool):
        return str(found).lower()
    return str(found) if isinstance(found, (str, int, float)) else ""


def _at(value: object, steps: Sequence[Step]) -> object:
    for step in steps:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, (list, tuple)) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def full_name(namespace: str, name: str) -> str:
    """`namespace/name`, or the bare name."""
    return f"{namespace}/{name}" if namespace else name


class Item(Struct, frozen=True, kw_only=True, eq=False):
    """One object. `json` is what its writer wrote, with the spelling of protobuf's JSON where it has a type."""

    kind: str
    group: str
    namespace: str
    name: str
    json: Mapping[str, object]
    source: str = ""
    lines: Lines | None = None
    problems: tuple[Problem, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    def __str__(self) -> str:
        return full_name(self.namespace, self.name)

    @property
    def origin(self) -> str:
        """`Kind namespace/name`."""
        return f"{self.kind} {self}"

    @property
    def spec(self) -> Json:
        return part(self.json, "spec")

    @property
    def labels(self) -> Mapping[str, str]:
        return {key: str(value) for key, value in part(self.json, "metadata", "labels").items()}

    @property
    def annotations(self) -> Mapping[str, str]:
        return {key: str(value) for key, value in part(self.json, "metadata", "annotations").items()}

    def line(self, *path: Step) -> int:
        """The line of the field, or of what it is in; 0 where the object is of no file."""
        return self.lines.at(path) if self.lines is not None else 0


class Finding(Struct, frozen=True, kw_only=True):
    """One message about one object; `args` fill the words of `codes`."""

    code: str
    item: Item
    args: tuple[object, ...] = ()
    path: tuple[Step, ...] = ()


class Objects:
    """All objects, by kind; the mesh's settings beside them."""

    def __init__(
        self, items: Iterable[Item], mesh: MeshConfig | None = None, networks: Json | None = None, root: str = "istio-system"
    ) -> None:
        self.items = tuple(items)
        self.mesh = mesh or MeshConfig()
        self.networks = networks or {}
        self.root = root
        self._of: dict[tuple[str, str], list[Item]] = {}
        self._in: dict[tuple[str, str], list[Item]] = {}
        for item in self.items:
            self._of.setdefault((item.group, item.kind), []).append(item)
            self._in.setdefault((item.kind, item.namespace), []).append(item)

    def of(self, kind: str, group: str | None = None) -> Iterator[Item]:
        """The objects of a kind, of one API group where its name is in several."""
        for (found_group, found_kind), items in self._of.items():
            if found_kind == kind and group in {None, found_group}:
                yield from items

    def inside(self, kind: str, namespace: str) -> list[Item]:
        """The objects of a kind in one namespace."""
        return self._in.get((kind, namespace), [])

    def named(self, kind: str, namespace: str, name: str, group: str | None = None) -> Item | None:
        """That one object."""
        return next((each for each in self.inside(kind, namespace) if each.name == name and group in {None, each.group}), None)

    @cached_property
    def namespaces(self) -> Mapping[str, Item]:
        """By name."""
        return {each.name: each for each in self.of("Namespace")}

    @cached_property
    def pods_in(self) -> Mapping[str, tuple[Item, ...]]:
        """Pods by namespace."""
        found: dict[str, list[Item]] = {}
        for each in self.of("Pod"):
            found.setdefault(each.namespace, []).append(each)
        return {namespace: tuple(pods) for namespace, pods in found.items()}


def items_of(decoded: Iterable[Decoded]) -> Iterator[Item]:
    """Objects of files."""
    for one in decoded:
        if one.raw:
            yield item_of(one.raw, one.source, one.lines)


def item_of(raw: dict[str, object], source: str = "", lines: Lines | None = None) -> Item:
    """One object as JSON has it."""
    obj, problems = decode_object(raw, lenient=True)
    json = {**raw, **to_json(obj)} if obj is not None and "spec" in raw and raw.get("kind") != "Secret" else raw
    if "status" in raw:
        json = {**json, "status": raw["status"]}
    group, _, _ = str(raw.get("apiVersion", "")).rpartition("/")
    return Item(
        kind=str(raw.get("kind", "")),
        group=group,
        namespace=text(raw, "metadata", "namespace"),
        name=text(raw, "metadata", "name"),
        json=json,
        source=source,
        lines=lines,
        problems=tuple(each for each in problems if each.code != "unknown-kind"),
        verdicts=validate(obj, raw) if obj is not None else (),
    )
