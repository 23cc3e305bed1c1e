"""ProxyConfigs of several places and ages: which of them counts for a workload."""

from lateen.api.meshconfig import ProxyConfig as Settings
from lateen.api.meta import ObjectMeta, WorkloadSelector
from lateen.api.proxyconfig import ProxyConfig, ProxyConfigSpec, ProxyImage
from lateen.compile.proxyconfigs import laid_over, layers_for

ROOT = "istio-system"


def config(namespace: str, concurrency: int, *, created: str = "2026-01-01T00:00:00Z", **labels: str) -> ProxyConfig:
    """One that is known by the number of workers it asks for."""
    return ProxyConfig(
        metadata=ObjectMeta(name=f"c{concurrency}", namespace=namespace, creation_timestamp=created),
        spec=ProxyConfigSpec(concurrency=concurrency, selector=WorkloadSelector(match_labels=labels) if labels else None),
    )


def test_the_nearer_is_the_stronger() -> None:
    """Root namespace, own namespace, then what selects the workload; other namespaces and labels say nothing."""
    configs = [config("shop", 2), config(ROOT, 1), config("shop", 3, app="web"), config("other", 4), config("shop", 5, app="db")]
    layers = layers_for(configs, "shop", {"app": "web"}, ROOT)
    assert [spec.concurrency for spec in layers.wide] == [1, 2]
    assert [spec.concurrency for spec in layers.own] == [3]


def test_a_selector_is_for_its_own_namespace() -> None:
    """In the root namespace too."""
    assert layers_for([config(ROOT, 1, app="web")], "shop", {"app": "web"}, ROOT).own == ()
    assert layers_for([config(ROOT, 1, app="web"), config(ROOT, 2)], ROOT, {"app": "web"}, ROOT).own[0].concurrency == 1


def test_the_oldest_of_a_kind_counts() -> None:
    """It is laid on last."""
    layers = layers_for([config("shop", 1), config("shop", 2, created="2025-01-01T00:00:00Z")], "shop", {}, ROOT)
    assert laid_over(Settings(), layers.wide).concurrency == 2


def test_only_what_is_said_is_changed() -> None:
    """Environments are joined."""
    before = Settings(concurrency=2, proxy_metadata={"A": "1", "B": "1"})
    after = laid_over(before, [ProxyConfigSpec(environment_variables={"B": "2"}, image=ProxyImage(image_type="debug"))])
    assert (after.concurrency, after.proxy_metadata, after.image) == (2, {"A": "1", "B": "2"}, {"imageType": "debug"})
