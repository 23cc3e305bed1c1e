"""What files leave out because every mesh has it: the ingress gateway's pod and Service.

Why: a Gateway in a file would otherwise select nobody. Left out where the files have such a pod themselves.
"""

from collections.abc import Iterable

from lateen.analyze.objects import Item, item_of

__all__ = ["default_items"]

_LABELS = {"istio": "ingressgateway", "app": "istio-ingressgateway"}
_PORTS = (("http2", 80, 8080), ("https", 443, 8443), ("tcp", 31400, 31400), ("tls", 15443, 15443), ("tcp-status", 15021, 15021))
_META = {"name": "istio-ingressgateway", "namespace": "istio-system", "labels": _LABELS}
_DEFAULTS: tuple[dict[str, object], ...] = (
    {"apiVersion": "v1", "kind": "Pod", "metadata": _META, "spec": {"containers": [{"name": "istio-proxy", "image": "auto-injected"}]}},
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _META,
        "spec": {"selector": _LABELS, "ports": [{"name": name, "port": port, "targetPort": target} for name, port, target in _PORTS]},
    },
)


def default_items(present: Iterable[Item]) -> list[Item]:
    """The defaults, or nothing where a gateway is there."""
    if any(item.kind == "Pod" and item.labels.get("istio") == "ingressgateway" for item in present):
        return []
    return [item_of(each) for each in _DEFAULTS]
