"""What a YAML scalar means, by the rules of kubectl's reader.

Why apart from `decode`: rules about text, without a YAML library. Must not know what a document is about.
"""

import base64
import binascii
import math
import re

__all__ = ["Refused", "resolve", "tagged"]

_WORDS: dict[str, object] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
for _word in ("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"):
    _WORDS[_word] = True
for _word in ("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"):
    _WORDS[_word] = False

_NUMERIC = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_TAG = "tag:yaml.org,2002:"


class Refused(Exception):  # noqa: N818  it is no fault of ours
    """A document that cannot be taken; the text is a sentence."""

    def __init__(self, sentence: str, line: int = 0) -> None:
        super().__init__(sentence)
        self.line = line


def resolve(text: str) -> object:
    """The value of a plain scalar, as kubectl reads it: null, true, a number, or the text itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _SPECIAL.fullmatch(text):
        raise Refused(f"{text} is a number that JSON cannot hold; write it in quotes if it is text")
    return text


def tagged(tag: str, text: str) -> object:
    """The value of a scalar with an explicit tag such as `!!str`."""
    kind = tag.removeprefix(_TAG)
    if kind in ("!", "str"):
        return text
    if kind == "binary":
        return _binary(text)
    value = resolve(text)
    fits = {"null": value is None, "bool": isinstance(value, bool), "int": isinstance(value, int), "float": isinstance(value, int | float)}
    if kind not in fits:
        raise Refused(f"the tag {tag[:60]} is not known here; only YAML's own tags (!!str, !!int, ...) may be used")
    if not fits[kind]:
        raise Refused(f"the value is tagged !!{kind}, but is none")
    return float(value) if kind == "float" and isinstance(value, int) else value


def _integer(text: str) -> object:
    digits = text.replace("_", "")
    sign, body = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    if body[:2] in ("0b", "0o", "0x"):
        base = {"b": 2, "o": 8, "x": 16}[body[1]]
        if len(body) < 3:
            return text
    elif len(body) > 1 and body[0] == "0":
        base = 8  # as in `defaultMode: 0644`
        if "8" in body or "9" in body:
            return text if len(body) > 40 else float(digits)
    else:
        base = 10
    if len(body) > 66:
        return _finite(digits) if base == 10 else text
    number = sign * int(body, base)
    return number if -(2**63) <= number < 2**64 else float(number)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Refused(f"the number {text[:40]} is too large")
    return number


def _binary(text: str) -> str:
    try:
        return base64.b64decode(text, validate=False).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Refused("the value is tagged !!binary, but is not UTF-8 text in base64") from None
