"""Paths of requests."""

from lateen.api.kinds import by_kind
from lateen.kube.paths import path_of


def test_names_are_escaped() -> None:
    """A name with a blank, a slash or a question mark asks for that name and nothing else; usual names stay as they are."""
    config = by_kind("ConfigMap")
    assert config is not None
    assert path_of(config, "x y", "a/../b?c") == "/api/v1/namespaces/x%20y/configmaps/a%2F..%2Fb%3Fc"
    assert path_of(config, "default", "system:all.v1") == "/api/v1/namespaces/default/configmaps/system:all.v1"
