"""Path templates of authorization rules: paths in which `{*}` is any one segment and `{**}` any number of them, the last such.

Why judged here: an Envoy that is given a template which it cannot parse ends (1.40). Must not know whose template it is.
"""

import re

__all__ = ["is_template", "template_fault"]

_ONE, _MANY = "{*}", "{**}"
_LITERAL = re.compile(r"[A-Za-z0-9._~%!$&'()+,;:@=-]+")


def is_template(path: str) -> bool:
    """Whether the path is more than a text to compare with."""
    return _ONE in path or _MANY in path


def template_fault(path: str) -> str:
    """Why Envoy would not take the template; "" where it does."""
    if not path.startswith("/"):
        return "must begin with /"
    segments = path[1:].split("/")
    if segments[-1] == "":
        segments.pop()  # one / at the end is its own
    many = False
    for segment in segments:
        if segment in (_ONE, _MANY):
            if many:
                return f"has {segment} after {_MANY}, which must be the last of its kind"
            many = segment == _MANY
        elif not segment:
            return "has an empty segment (//)"
        elif not _LITERAL.fullmatch(segment):
            return f'has the segment "{segment}", which is neither {_ONE} nor {_MANY} nor made of characters of a URL\'s path'
    return ""
