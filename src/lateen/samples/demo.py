"""Where the demo's manifests are, in the order in which they are applied. Must not read them."""

from pathlib import Path

__all__ = ["DEMO", "MANIFESTS"]

MANIFESTS = Path(__file__).parent / "manifests"

DEMO = tuple(
    MANIFESTS / name
    for name in (
        "istio-system.yaml",
        "demo-namespace.yaml",  # before the pods: they get their sidecars when they are made
        "bookinfo.yaml",
        "bookinfo-gateway.yaml",
    )
)
