"""Durations as text: Go's (`1h30m`, `100ms`) and protobuf JSON's (`1.5s`), as whole nanoseconds.

Why: the API keeps durations as written; who computes with them reads them here, exactly, without floats.
"""

import re

__all__ = ["HOUR", "MICROSECOND", "MILLISECOND", "MINUTE", "SECOND", "parse", "to_text"]

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {"ns": 1, "us": MICROSECOND, "µs": MICROSECOND, "μs": MICROSECOND, "ms": MILLISECOND}
_UNITS |= {"s": SECOND, "m": MINUTE, "h": HOUR}
_PART = re.compile(r"([0-9]{0,19})(?:\.([0-9]{0,30}))?(ns|us|µs|μs|ms|s|m|h)")
_LARGEST = 315_576_000_000 * SECOND  # protobuf's limit, 10,000 years


def parse(text: str) -> int:
    """Nanoseconds of a duration such as `1s`, `1h30m`, `0.5s`, `-100ms` or `0`; ValueError says what is wrong."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return 0
    total = at = 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None or not (part[1] or part[2]):
            raise ValueError(_refusal(text))
        total += _nanoseconds(part[1], part[2] or "", _UNITS[part[3]])
        at = part.end()
    if not body:
        raise ValueError(_refusal(text))
    if total > _LARGEST:
        raise ValueError(f"duration {text!r} is longer than 10,000 years")
    return sign * total


def to_text(nanoseconds: int) -> str:
    """The duration as protobuf JSON writes it, without trailing zeros: `1.5s`, `0.1s`, `90s`."""
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), SECOND)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{sign}{seconds}{fraction}s"


def _nanoseconds(whole: str, fraction: str, unit: int) -> int:
    """What is finer than a nanosecond is cut off, as Go does."""
    denominator: int = 10 ** len(fraction)
    return int(whole or "0") * unit + int(fraction or "0") * unit // denominator


def _refusal(text: str) -> str:
    return f"{text[:40]!r} is not a duration; write a number with a unit, such as 1s, 100ms or 1h30m"
