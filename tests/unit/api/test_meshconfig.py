"""MeshConfig: istiod's defaults stand, a file overrides what it names."""

from lateen.api.decode import decode_message
from lateen.api.meshconfig import MeshConfig, ProxyConfig
from lateen.util import durations


def test_an_empty_file_is_istiods_defaults() -> None:
    """As `pkg/config/mesh` has them."""
    mesh, problems = decode_message(b"", MeshConfig, "mesh")
    assert problems == ()
    assert mesh == MeshConfig()
    assert (mesh.proxy_listen_port, mesh.proxy_inbound_listen_port) == (15001, 15006)
    assert mesh.outbound_traffic_policy.mode == "ALLOW_ANY"
    assert mesh.default_config.discovery_address == "istiod.istio-system.svc:15012"
    assert mesh.enable_auto_mtls
    assert durations.parse(mesh.protocol_detection_timeout) == 0
    assert mesh.locality_lb_setting.enabled is True


def test_a_file_overrides_only_what_it_names() -> None:
    """Also within `defaultConfig`."""
    text = b"outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nmeshMTLS: {minProtocolVersion: TLSV1_3}\ndefaultConfig: {concurrency: 2}\n"
    mesh, problems = decode_message(text, MeshConfig, "mesh")
    assert problems == ()
    assert mesh is not None
    assert mesh.outbound_traffic_policy.mode == "REGISTRY_ONLY"
    assert mesh.mesh_mtls.min_protocol_version == "TLSV1_3"
    assert mesh.default_config == ProxyConfig(concurrency=2)


def test_an_unknown_key_is_warned_about() -> None:
    """A newer or older Istio's key does not stop the mesh."""
    mesh, (problem,) = decode_message(b"acessLogFile: /dev/stdout\n", MeshConfig, "mesh.yaml")
    assert mesh == MeshConfig()
    assert problem.message == 'mesh.yaml:1: acessLogFile: unknown field; did you mean "accessLogFile"?'
    assert problem.severity == "warning"


def test_a_wrong_value_refuses_the_file() -> None:
    """The mesh's settings are taken whole or not at all."""
    mesh, (problem,) = decode_message(b"connectTimeout: soon\nfoo: {}\n"[:21], MeshConfig, "mesh")
    assert mesh is None
    assert problem.code == "wrong-value"


def test_a_second_document_is_refused() -> None:
    """A mesh has one configuration."""
    mesh, (problem,) = decode_message(b"{}\n---\n{}\n", MeshConfig, "mesh")
    assert mesh is None
    assert problem.message == "mesh:2: expected one document, found several"


def test_two_kinds_of_one_provider_are_refused() -> None:
    """An extension provider is of exactly one sort."""
    text = b"extensionProviders:\n- name: a\n  zipkin: {service: z, port: 9411}\n  prometheus: {}\n"
    mesh, (problem,) = decode_message(text, MeshConfig, "mesh")
    assert mesh is None
    assert problem.code == "one-of"
