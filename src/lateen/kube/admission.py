"""What may change or refuse an object before it is stored, passed in by whoever builds the API.

Why: injection and validation live in packages that `kube` may not import. Must not know any policy itself.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from lateen.api.kinds import KindInfo
from lateen.kube.records import JsonObject

__all__ = ["Admission", "AdmissionError", "AdmissionResult", "Operation", "admit_all"]

Operation = Literal["CREATE", "UPDATE", "DELETE"]


class AdmissionError(Struct, frozen=True):
    """Why an object is refused: a sentence, and the field at fault (`spec.http[0].route`) where there is one."""

    message: str
    field: str = ""


class AdmissionResult(Struct, frozen=True):
    """The object to store (None: as it came), what to warn of, and what forbids it."""

    object: JsonObject | None = None
    warnings: tuple[str, ...] = ()
    errors: tuple[AdmissionError, ...] = ()


Admission = Callable[[Operation, KindInfo, Mapping[str, object] | None, Mapping[str, object] | None], AdmissionResult]


def admit_all(
    _operation: Operation, _info: KindInfo, _new: Mapping[str, object] | None, _old: Mapping[str, object] | None
) -> AdmissionResult:
    """No policy: everything is stored as it came."""
    return AdmissionResult()
