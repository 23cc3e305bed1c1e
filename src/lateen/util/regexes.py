"""Regular expressions as Envoy reads them.

Why: Envoy reads bytes where RE2's own binding reads characters, and takes programs up to a size only; an expression that only Envoy
refuses would be told too late, and one that only the binding refuses would be told wrongly. Must not know whose expression it is.
"""

__all__ = ["LARGEST_PROGRAM", "regex_fault"]

LARGEST_PROGRAM = 32768  # Envoy is told so in its bootstrap
_MEMORY = 32 * LARGEST_PROGRAM  # a step of a program takes 12 to 28 bytes; more would take seconds to find out
_TOO_LARGE = (
    f"is too large: it makes a program of more than {LARGEST_PROGRAM} steps, and Envoy takes no more; "
    "lower the counts of its repetitions, or match an exact text or a prefix"
)


def regex_fault(text: str) -> str:
    """Why Envoy would refuse this expression; "" where it takes it."""
    import re2  # noqa: PLC0415  (a library of its own, which most objects have no use for)

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        size = re2.compile(text.encode(), options).programsize
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error.args[0]
        return _TOO_LARGE if "too large" in why else f"is not a regular expression of RE2: {why}"
    return _TOO_LARGE if size > LARGEST_PROGRAM else ""
