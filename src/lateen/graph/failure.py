"""A function of the graph that raised, told as a problem.

Why: one broken node must not stop the others; what it raised has to be seen and found all the same.
Must not keep the exception: its traceback would hold the values alive.
"""

from lateen.util.problem import Problem

__all__ = ["FAILED", "failure"]

FAILED = "internal"


def failure(name: str, key: object, error: Exception) -> Problem:
    """An internal problem: which collection, for which key, what was raised and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}"
    return Problem(
        code=FAILED,
        message=f"computing '{name}' for {key!r} raised {type(error).__name__}: {error}{where}. Its last good result "
        "stays in use. This is a defect of Lateen: please report it with this message",
    )
