"""Principals under every name of the trust domain: a mesh that was renamed goes on honouring the rules written before.

The first segment of a principal is its trust domain. One that is the mesh's own or an alias of it (also by a wildcard in front)
stands for all of them; any other stays as it is.
"""

from collections.abc import Iterable

__all__ = ["expand_principals", "with_trust_domain"]

_ANY = "*"


def expand_principals(principals: Iterable[str], domains: tuple[str, ...]) -> tuple[str, ...]:
    """The principals, each once, those of `domains` (the mesh's own first) under all of them."""
    found: dict[str, None] = {}
    for principal in principals:
        for name in _names(principal, domains):
            found[name] = None
    return tuple(found)


def with_trust_domain(principal: str, domain: str) -> str | None:
    """`principal` in another trust domain; None where it is not `<domain>/ns/<namespace>/sa/<account>` (`*` may end it early)."""
    _, _, rest = principal.partition("/")
    parts = rest.split("/")
    whole = len(parts) == 4 or rest.endswith(_ANY)
    return f"{domain}/{rest}" if parts[0] == "ns" and whole else None


def _names(principal: str, domains: tuple[str, ...]) -> Iterable[str]:
    own = principal.partition("/")[0]
    if own == _ANY or not any(_covers(own, domain) for domain in domains):
        return (principal,)
    renamed = (principal if _covers(own, domain) else with_trust_domain(principal, domain) for domain in domains)
    return [name if name is not None else principal for name in renamed]


def _covers(pattern: str, domain: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith(_ANY) else pattern == domain
