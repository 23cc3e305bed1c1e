"""Points in time as Kubernetes writes them: RFC 3339 in whole seconds, in UTC."""

from datetime import UTC, datetime

__all__ = ["rfc3339"]


def rfc3339(when: float) -> str:
    """Seconds since the epoch as metadata, status and events have them; parts of a second are left out."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
