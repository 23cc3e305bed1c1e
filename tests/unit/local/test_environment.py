"""Variables, commands, users and images of containers."""

import asyncio

import pytest

from lateen.api.meta import ObjectMeta
from lateen.api.pods import (
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    FieldRef,
    KeyRef,
    NameRef,
    Pod,
    PodSecurityContext,
    PodSpec,
    SecurityContext,
)
from lateen.kube.records import JsonObject
from lateen.local.environment import DEFAULT_UID, environment, expand, pod_field, user_of
from lateen.local.images import Images, ImageTableError, parse_command, parse_table
from lateen.local.sandbox import CannotStartError

POD = Pod(metadata=ObjectMeta(name="web", namespace="shop", labels={"app": "web"}, annotations={"a/b": "c"}))


async def _fetch(kind: str, name: str) -> JsonObject | None:
    objects: dict[tuple[str, str], JsonObject] = {
        ("ConfigMap", "map"): {"kind": "ConfigMap", "data": {"color": "blue", "size": "9"}},
        ("Secret", "secret"): {"kind": "Secret", "data": {"word": "eHl6enk="}},
    }
    return objects.get((kind, name))


def variables(*env: EnvVar, sources: tuple[EnvFromSource, ...] = (), image: dict[str, str] | None = None) -> dict[str, str]:
    """A container's environment."""
    container = Container(name="main", env=env, env_from=sources)
    return asyncio.run(environment(POD, container, image or {}, "10.0.0.7", _fetch))


def test_references_are_kubernetes() -> None:
    """$(NAME) is the variable, $$ a dollar, and a reference to nothing stays as written."""
    assert expand("$(A)-$$(A)-$(B)-$A", {"A": "x"}) == "x-$(A)-$(B)-$A"


def test_later_variables_win_and_see_earlier_ones() -> None:
    """The image's variables are overridden; a reference sees only what stands before it."""
    found = variables(EnvVar(name="A", value="1"), EnvVar(name="B", value="$(A)$(C)"), EnvVar(name="C", value="3"), image={"A": "0"})
    assert (found["A"], found["B"], found["C"]) == ("1", "1$(C)", "3")


def test_variables_come_from_objects_and_the_pod() -> None:
    """ConfigMaps, Secrets and fields; an optional key that is missing sets nothing."""
    found = variables(
        EnvVar(name="WORD", value_from=EnvVarSource(secret_key_ref=KeyRef(name="secret", key="word"))),
        EnvVar(name="IP", value_from=EnvVarSource(field_ref=FieldRef(field_path="status.podIP"))),
        EnvVar(name="GONE", value_from=EnvVarSource(config_map_key_ref=KeyRef(name="map", key="nothing", optional=True))),
        sources=(EnvFromSource(prefix="MAP_", config_map_ref=NameRef(name="map")),),
    )
    assert found["WORD"] == "xyzzy"
    assert found["IP"] == "10.0.0.7"
    assert (found["MAP_color"], found["MAP_size"]) == ("blue", "9")
    assert "GONE" not in found


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (KeyRef(name="map", key="nothing"), 'couldn\'t find key nothing in ConfigMap "map"'),
        (KeyRef(name="none", key="x"), 'configmap "none" not found'),
    ],
)
def test_missing_object_is_named(ref: KeyRef, message: str) -> None:
    """What is missing keeps the container waiting, by name."""
    with pytest.raises(CannotStartError, match=message) as refused:
        variables(EnvVar(name="X", value_from=EnvVarSource(config_map_key_ref=ref)))
    assert refused.value.reason == "CreateContainerConfigError"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "web"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['a/b']", "c"),
        ("metadata.labels", 'app="web"'),
        ("spec.serviceAccountName", "default"),
        ("spec.nodeName", "local"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    """The downward API's paths."""
    assert pod_field(POD, path, "10.0.0.7") == expected


def test_container_runs_as_it_asks() -> None:
    """The container's own user beats the pod's; nobody runs as root who did not ask."""
    pod = Pod(spec=PodSpec(security_context=PodSecurityContext(run_as_user=5, run_as_group=6, fs_group=7)))
    own = Container(security_context=SecurityContext(run_as_user=8))
    assert (user_of(pod, own).uid, user_of(pod, own).gid, user_of(pod, own).groups) == (8, 6, (7,))
    assert user_of(POD, Container()).uid == DEFAULT_UID
    with pytest.raises(CannotStartError, match="runAsNonRoot"):
        user_of(POD, Container(security_context=SecurityContext(run_as_user=0, run_as_non_root=True)))


def test_annotation_names_the_command() -> None:
    """A container's own annotation beats the pod's, which beats every table; arguments stay."""
    images = Images({"x": ("/bin/false",)})
    notes = {"lateen.io/command": "/bin/one 'a b'", "lateen.io/command.second": '["/bin/two", "c"]'}
    assert images.command("first", "x", notes, (), ("-v",)).argv == ("/bin/one", "a b", "-v")
    assert images.command("second", "x", notes, (), ()).argv == ("/bin/two", "c")
    assert images.command("first", "x", {}, (), ("-v",)).argv == ("/bin/false", "-v")


def test_unknown_image_names_the_remedy() -> None:
    """The refusal says which image, which annotation and which line of lateen.yaml."""
    with pytest.raises(CannotStartError, match=r"Image ex\.com/a:1 is not in the table.*lateen\.io/command.*lateen\.yaml") as refused:
        Images().command("main", "ex.com/a:1", {}, (), ())
    assert refused.value.reason == "ErrImagePull"


def test_table_of_images_is_checked() -> None:
    """Commands are lines or lists; anything else is named with its place."""
    assert parse_table({"a": "run -x", "b": ["run", "-y"]}, "lateen.yaml") == {"a": ("run", "-x"), "b": ("run", "-y")}
    with pytest.raises(ImageTableError, match=r"lateen\.yaml: images\.a: expected a command line"):
        parse_table({"a": 5}, "lateen.yaml")
    with pytest.raises(ImageTableError, match="expected a map"):
        parse_table([], "lateen.yaml")
    assert parse_command('["a", "b"]') == ("a", "b")
