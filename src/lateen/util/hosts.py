"""Host names as Istio's API writes them: exact, `*.example.com` or `*`, and short names of services.

Why: matching, ordering and resolving hosts is asked in every part that reads configuration; one answer serves all.
Must not know any object: strings in, answers out. Names are compared in lower case.
"""

from collections.abc import Iterable

__all__ = ["is_wildcard", "matches", "more_specific_first", "most_specific", "overlaps", "resolve"]


def is_wildcard(host: str) -> bool:
    """`*` and `*.example.com`."""
    return host.startswith("*")


def matches(pattern: str, host: str) -> bool:
    """Whether `pattern` covers everything that `host` names; `host` may itself be a wildcard.

    `*` covers all; `*.x` covers `a.x`, `a.b.x` and `*.b.x`, not `x` itself; an exact pattern covers only itself.
    """
    pattern, host = pattern.lower(), host.lower()
    if pattern in (host, "*"):
        return True
    return pattern.startswith("*") and len(host) > len(pattern) - 1 and host.endswith(pattern[1:])


def overlaps(left: str, right: str) -> bool:
    """Whether some host is named by both: one of the two covers the other."""
    return matches(left, right) or matches(right, left)


def more_specific_first(host: str) -> tuple[bool, int, str]:
    """Sort key: exact names before wildcards, longer before shorter, then by the alphabet."""
    return is_wildcard(host), -len(host), host


def most_specific(patterns: Iterable[str], host: str) -> str | None:
    """The pattern that covers `host` most closely; None where none does."""
    return min((one for one in patterns if matches(one, host)), key=more_specific_first, default=None)


def resolve(host: str, namespace: str, domain: str) -> str:
    """The full name of a host as written in an object of `namespace`: `reviews` -> `reviews.default.svc.cluster.local`.

    A name with a dot, a wildcard, an IPv6 address and the empty name stay as they are, in lower case.
    """
    host = host.lower()
    if not host or "." in host or ":" in host or is_wildcard(host):
        return host
    name = f"{host}.{namespace}" if namespace else host
    return f"{name}.svc.{domain}" if domain else name
