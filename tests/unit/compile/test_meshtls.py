"""What MeshConfig says of TLS versions and paths."""

import pytest

from lateen.api.meshconfig import MeshConfig, ProxyPathNormalization, TLSConfig
from lateen.compile.meshtls import min_tls, path_normalization


def test_mutual_tls_is_1_2_or_newer_and_1_3_where_asked() -> None:
    """Older versions are never taken."""
    asked = {"TLS_AUTO": "TLSV1_2", "TLSV1_2": "TLSV1_2", "TLSV1_3": "TLSV1_3", "TLSV1_0": "TLSV1_2"}
    for wanted, given in asked.items():
        assert min_tls(MeshConfig(mesh_mtls=TLSConfig(min_protocol_version=wanted))) == given  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "given"), [("DEFAULT", "BASE"), ("NONE", "NONE"), ("BASE", "BASE"), ("DECODE_AND_MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")]
)
def test_paths_are_normal_by_default(wanted: str, given: str) -> None:
    """DEFAULT is BASE, as Istio's."""
    mesh = MeshConfig(path_normalization=ProxyPathNormalization(normalization=wanted))  # type: ignore[arg-type]
    assert path_normalization(mesh) == given
