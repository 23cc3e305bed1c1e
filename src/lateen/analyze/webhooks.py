"""Webhook configurations: an external control plane without an address, services that are not there."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from lateen.analyze.objects import Finding, Item, Objects, listing, part, text
from lateen.util import ipnets

__all__ = ["check_external_control_plane", "check_webhooks"]

_KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_OURS = ("istio-validator", "istiod-default-validator", "istio-sidecar-injector", "istio-revision-tag")


def _ours(objects: Objects) -> Iterator[Item]:
    for kind in _KINDS:
        yield from (each for each in objects.of(kind) if each.name.startswith(_OURS))


def check_external_control_plane(objects: Objects) -> Iterable[Finding]:
    """A webhook has a service or an address; an address has a host with a name."""
    for item in _ours(objects):
        for index, hook in enumerate(listing(item.json, "webhooks")):
            client, name = part(hook, "clientConfig"), text(hook, "name")
            if "service" in client:
                continue
            path = ("webhooks", index, "clientConfig")
            address = text(client, "url")
            if not address:
                yield Finding(code="IST0163", item=item, args=("", name, "it has neither a service nor an address"), path=path)
                break
            try:
                host = urlsplit(address).hostname or ""
            except ValueError:
                host = ""
            if not host:
                yield Finding(code="IST0163", item=item, args=(address, name, "the address has no host"), path=path)
                break
            if ipnets.is_address(host):
                yield Finding(code="IST0164", item=item, args=(host, name), path=path)


def check_webhooks(objects: Objects) -> Iterable[Finding]:
    """The service behind a webhook exists, and no other webhook takes the same pods."""
    for item in _ours(objects):
        for index, hook in enumerate(listing(item.json, "webhooks")):
            service = part(hook, "clientConfig", "service")
            name, namespace = text(service, "name"), text(service, "namespace")
            if service and objects.named("Service", namespace, name) is None:
                why = f"its service {namespace}/{name} does not exist"
                yield Finding(code="IST0139", item=item, args=(text(hook, "name"), why), path=("webhooks", index, "clientConfig"))
