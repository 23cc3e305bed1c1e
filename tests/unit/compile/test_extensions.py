"""What TrafficExtensions and WasmPlugins come to: whose resources they are, where they stand, what of them is told."""

from envoy.config.core.v3 import extension_pb2
from envoy.extensions.filters.http.wasm.v3 import wasm_pb2
from google.protobuf.wrappers_pb2 import StringValue

from lateen.api.meta import Key
from lateen.model.scope import Proxy
from lateen.testing.messages import frame_message
from lateen.testing.world import MemoryWorld
from lateen.xds.resources import EXTENSION, LISTENER

PROXY = Proxy(id="p", kind="sidecar", namespace="default", name="p", addresses=("10.0.0.1",), labels=(("app", "web"),))
HEAD = "apiVersion: extensions.istio.io/v1alpha1\nkind: {kind}\nmetadata: {{name: mine, namespace: default, generation: 4}}\nspec: {spec}\n"


def world(kind: str, spec: str) -> MemoryWorld:
    """A world with the one object, and the proxy."""
    made = MemoryWorld()
    made.load(HEAD.format(kind=kind, spec=spec))
    made.connect(PROXY)
    made.commit()
    return made


def resource(made: MemoryWorld, kind: str) -> extension_pb2.TypedExtensionConfig:
    """The one that the object came to."""
    message = frame_message(made.snapshot(PROXY)[EXTENSION][f"extensions.istio.io/{kind.lower()}/default.mine"])
    assert isinstance(message, extension_pb2.TypedExtensionConfig)
    return message


def told(made: MemoryWorld) -> list[tuple[str, str]]:
    """Field and severity of all problems."""
    return [(one.path, one.severity) for problems in made.graph.problems().values() for one in problems]


def test_a_resource_is_its_objects_alone() -> None:
    """A refusal of it is about nothing else; listeners name it, and stay the same when its script changes."""
    made = world("TrafficExtension", "{lua: {inlineCode: one}}")
    before = made.snapshot(PROXY)
    key = Key("TrafficExtension", "default", "mine")
    assert before[EXTENSION]["extensions.istio.io/trafficextension/default.mine"].owners == ((key, 4),)
    made.load(HEAD.format(kind="TrafficExtension", spec="{lua: {inlineCode: two}}"))
    made.commit()
    after = made.snapshot(PROXY)
    assert after[LISTENER] == before[LISTENER]
    assert after[EXTENSION] != before[EXTENSION]


def test_a_module_is_given_what_the_plugin_says() -> None:
    """File, root, settings, environment, what happens when it fails."""
    made = world(
        "WasmPlugin",
        "{url: 'file:///opt/a.wasm', pluginName: root, pluginConfig: {b: 1, a: [x]}, failStrategy: FAIL_OPEN,"
        " vmConfig: {env: [{name: A, value: b}, {name: HOME, valueFrom: HOST}]}}",
    )
    wasm = wasm_pb2.Wasm()
    assert resource(made, "WasmPlugin").typed_config.Unpack(wasm)
    config, machine = wasm.config, wasm.config.vm_config
    settings = StringValue()
    assert config.configuration.Unpack(settings)
    assert (config.root_id, settings.value, config.failure_policy) == ("root", '{"a": ["x"], "b": 1}', 3)
    assert (machine.code.local.filename, machine.runtime) == ("/opt/a.wasm", "envoy.wasm.runtime.v8")
    environment = machine.environment_variables
    assert (dict(environment.key_values), list(environment.host_env_keys)) == ({"A": "b"}, ["HOME"])
    assert told(made) == []


def test_what_cannot_be_acted_on_is_told() -> None:
    """Modules elsewhere, which are not fetched, and modules for connections of bytes, which are left out."""
    for kind, spec, path in (
        ("WasmPlugin", "{url: 'https://a.example/a.wasm'}", "spec.url"),
        ("TrafficExtension", "{wasm: {url: a.example/a:1}}", "spec.wasm.url"),
        ("WasmPlugin", "{url: 'file:///a.wasm', type: NETWORK}", "spec.type"),
    ):
        made = world(kind, spec)
        assert told(made) == [(path, "warning")]
        found = [name for name in made.snapshot(PROXY)[EXTENSION] if "extensions.istio.io" in name]
        assert bool(found) == (path != "spec.type")
