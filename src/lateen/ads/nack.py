"""Which of a refused push's resources the refusal is about.

Envoy names the resource in its message for clusters, listeners and most others; where it names none, the whole push is meant.
"""

from lateen.ads.messages import Nack, Push

__all__ = ["blame"]


def blame(push: Push, message: str) -> Nack:
    """The refusal of `push`, narrowed to the frames whose names stand in `message`."""
    named = tuple(frame for frame in push.frames if _names(message, frame.name))
    return Nack(push.type_url, message, named or push.frames)


def _names(message: str, name: str) -> bool:
    start = message.find(name)
    while start >= 0:
        end = start + len(name)
        before, after = message[start - 1 : start], message[end : end + 1]
        if not _part_of_name(before) and not _part_of_name(after):
            return True
        start = message.find(name, start + 1)
    return False


def _part_of_name(char: str) -> bool:
    return bool(char) and (char.isalnum() or char in "_-|")
