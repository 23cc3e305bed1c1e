"""JSON, where a text is JSON through and through.

Why apart from YAML: JSON's escapes and tabs are not all YAML's. Must not explain mistakes: the YAML reader does, with lines.
"""

import json
import math
from typing import Any

__all__ = ["json_objects"]


def json_objects(text: str, *, deepest: int) -> list[tuple[Any, int, int]] | None:
    """The objects that follow each other in a text, each with its begin and end; None where anything is not as it should be."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite, parse_int=_bounded)
    found, at = [], _skip(text, 0)
    while at < len(text):
        if text[at] != "{":
            return None
        try:
            raw, end = decoder.raw_decode(text, at)
            json.dumps(raw, ensure_ascii=False).encode()  # refuses halves of surrogate pairs
        except (ValueError, RecursionError):
            return None
        if _depth(raw) > deepest:
            return None
        found.append((raw, at, end))
        at = _skip(text, end)
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is given twice")
    return made


def _no_number(text: str) -> None:
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _bounded(text: str) -> int | float:
    number = int(text)
    return number if -(2**63) <= number < 2**64 else _finite(text)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)
