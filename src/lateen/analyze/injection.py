"""Sidecar injection: namespaces and pods without it, images that are not the injector's, `image: auto` that nobody replaces."""

import json
from collections.abc import Iterable, Mapping

from lateen.analyze.mesh import PROXY, injected, is_system
from lateen.analyze.objects import Finding, Item, Objects, listing, part, text
from lateen.util import selectors

__all__ = ["check_image_auto", "check_images", "check_injection"]

_LABEL, _REVISION = "istio-injection", "istio.io/rev"
_CONFIG_MAP = "istio-sidecar-injector"
_VARIANTS = ("-distroless", "-debug")
_AMBIENT = ("istio.io/dataplane-mode", "ambient")


def check_injection(objects: Objects) -> Iterable[Finding]:
    """Namespaces that say nothing of injection, or two things; pods without a sidecar where there should be one."""
    by_default = any(_values(each, "sidecarInjectorWebhook", "enableNamespacesByDefault") == "true" for each in objects.of("ConfigMap"))
    for namespace in objects.of("Namespace"):
        if is_system(namespace.name) or namespace.name == objects.root or namespace.labels.get(_AMBIENT[0]) == _AMBIENT[1]:
            continue
        if _LABEL not in namespace.labels and _REVISION not in namespace.labels:
            code, args = ("IST0148", ()) if by_default else ("IST0102", (namespace.name,))
            yield Finding(code=code, item=namespace, args=args, path=("metadata", "name"))
        elif _LABEL in namespace.labels and _REVISION in namespace.labels:
            yield Finding(code="IST0123", item=namespace, args=([_LABEL, _REVISION],), path=("metadata", "name"))
    for pod in objects.of("Pod"):
        told = pod.labels.get("sidecar.istio.io/inject", pod.annotations.get("sidecar.istio.io/inject", ""))
        if told.lower() == "false" or pod.spec.get("hostNetwork") is True or not _injects(objects.namespaces.get(pod.namespace)):
            continue
        if not any(text(each, "name") == PROXY for each in (*listing(pod.spec, "containers"), *listing(pod.spec, "initContainers"))):
            yield Finding(code="IST0103", item=pod, args=(str(pod),), path=("metadata", "name"))


def _injects(namespace: Item | None) -> bool:
    return injected(namespace) and namespace is not None and not (_LABEL in namespace.labels and _REVISION in namespace.labels)


def _values(config: Item, *path: str) -> str:
    """A value of the injector's configuration."""
    if not config.name.startswith(_CONFIG_MAP):
        return ""
    try:
        return text(json.loads(text(config.json, "data", "values") or "{}"), *path)
    except ValueError:
        return ""


def check_images(objects: Objects) -> Iterable[Finding]:
    """Pods whose sidecar is older or newer than what the injector gives out now; told once for each namespace."""
    wanted: dict[str, str] = {}
    for config in objects.of("ConfigMap"):
        image = _values(config, "global", "proxy", "image")
        if image:
            hub, tag = _values(config, "global", "hub"), _values(config, "global", "tag")
            wanted[config.name] = image if "/" in image else f"{hub}/{image}:{tag}"
    for name, namespace in objects.namespaces.items():
        if not injected(namespace):
            continue
        revision = namespace.labels.get(_REVISION, "default")
        current = wanted.get(_CONFIG_MAP if revision == "default" else f"{_CONFIG_MAP}-{revision}")
        if current is None:
            continue
        others = [pod.name for pod in objects.pods_in.get(name, ()) if _other(pod, current)]
        if others:
            yield Finding(code="IST0158", item=namespace, args=(others,), path=("metadata", "name"))


def _other(pod: Item, image: str) -> bool:
    if pod.annotations.get("sidecar.istio.io/proxyImage"):
        return False
    found = [
        text(each, "image")
        for each in (*listing(pod.spec, "containers"), *listing(pod.spec, "initContainers"))
        if text(each, "name") == PROXY
    ]
    return any(_plain(each) != _plain(image) for each in found)


def _plain(image: str) -> str:
    for variant in _VARIANTS:
        image = image.removesuffix(variant)
    return image


def check_image_auto(objects: Objects) -> Iterable[Finding]:
    """`image: auto` is replaced by the injector; where it does not come by, there is no such image."""
    for pod in objects.of("Pod"):
        if _auto(pod.spec):
            yield Finding(code="IST0147", item=pod, args=("Pod", pod.name), path=("spec", "containers"))
    for deployment in objects.of("Deployment"):
        template = part(deployment.spec, "template")
        labels = {key: str(value) for key, value in part(template, "metadata", "labels").items()}
        if _auto(part(template, "spec")) and not _taken(objects, deployment.namespace, labels):
            yield Finding(
                code="IST0146", item=deployment, args=("Deployment", deployment.name), path=("spec", "template", "spec", "containers")
            )


def _auto(spec: Mapping[str, object]) -> bool:
    return any(text(each, "name") == PROXY and text(each, "image") == "auto" for each in listing(spec, "containers"))


def _taken(objects: Objects, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a webhook of the injector takes pods with these labels."""
    found = objects.namespaces.get(namespace)
    about = {"kubernetes.io/metadata.name": namespace, **(found.labels if found is not None else {})}
    return any(
        _fits(part(hook, "namespaceSelector"), about) and _fits(part(hook, "objectSelector"), labels)
        for config in objects.of("MutatingWebhookConfiguration")
        if config.name.startswith(("istio-sidecar-injector", "istio-revision-tag"))
        for hook in listing(config.json, "webhooks")
    )


def _fits(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    wanted = part(selector, "matchLabels")
    found = [
        selectors.Requirement(text(each, "key"), text(each, "operator"), tuple(str(value) for value in _list(each.get("values"))))
        for each in listing(selector, "matchExpressions")
    ]
    return all(labels.get(key) == value for key, value in wanted.items()) and selectors.satisfies(found, labels)


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []
