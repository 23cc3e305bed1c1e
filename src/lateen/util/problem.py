"""What is wrong with an object or a file, as a value.

Why: the core returns problems beside results instead of raising or logging, and every front (CLI, API, status) prints
the same sentence. Must not depend on any kind of object.
"""

from typing import Literal

from msgspec import Struct

__all__ = ["Problem", "Problems", "Severity"]

Severity = Literal["error", "warning"]


class Problem(Struct, frozen=True, kw_only=True):
    """One finding: `message` is a sentence that stands alone (where, what, what was expected)."""

    code: str
    message: str
    kind: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""  # as written in messages: spec.http[0].route
    file: str = ""
    line: int = 0  # 1-based; 0 where unknown
    severity: Severity = "error"


Problems = tuple[Problem, ...]
