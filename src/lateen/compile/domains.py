"""The names under which a service answers in a route configuration.

Short names count only as far as the client's own search domains lead: `reviews` in the service's namespace, `reviews.default` in all.
"""

from functools import lru_cache

from lateen.model.service import Service

__all__ = ["service_domains"]


def service_domains(service: Service, namespace: str, domain: str) -> tuple[str, ...]:
    """All host names, without ports, by which clients of `namespace` may call the service."""
    names = _names(service.hostname, _is_own(service.hostname, namespace, domain), domain)
    for alias in service.aliases:
        names += _names(alias.hostname, _is_own(alias.hostname, namespace, domain), domain)
    if service.headless:
        names += tuple(f"*.{name}" for name in names)
    if service.hostname.startswith("*"):
        return names
    return (*names, *(_literal(address) for address in service.addresses if "/" not in address))


def _is_own(hostname: str, namespace: str, domain: str) -> bool:
    """Whether the host is one of the namespace: all that its names depend on."""
    return hostname.endswith(f".{namespace}.svc.{domain}")


@lru_cache(maxsize=1 << 14)
def _names(hostname: str, own: bool, domain: str) -> tuple[str, ...]:  # noqa: FBT001 - of a cache's key
    return (hostname, f"{hostname}.", *_short_names(hostname, own, domain))


def _short_names(hostname: str, own: bool, domain: str) -> list[str]:  # noqa: FBT001
    suffix = f".svc.{domain}"
    if not domain or not hostname.endswith(suffix):
        return []
    stem = hostname.removesuffix(suffix)  # reviews.default
    name, dot, _ = stem.rpartition(".")
    if not dot:
        return []
    return [*([name] if own else []), f"{stem}.svc", stem]


def _literal(address: str) -> str:
    """An address as it stands in a Host header."""
    return f"[{address}]" if ":" in address else address
