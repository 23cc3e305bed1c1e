"""What an update or a deletion may not do, beyond what admission says.

Must not change an object.
"""

import msgspec

from lateen.api.kinds import KindInfo
from lateen.kube import errors
from lateen.kube.deletion import FOREGROUND
from lateen.kube.errors import Cause
from lateen.kube.options import DeleteOptions
from lateen.kube.records import JsonObject, Stored, section

__all__ = ["check_finalizers", "check_identity", "check_preconditions", "check_selector", "check_template", "json_text"]


def check_identity(info: KindInfo, stored: Stored, new: JsonObject) -> None:
    """A body must not name another object than the URL, nor an older state than the present one."""
    meta = new["metadata"] = section(new, "metadata")
    name, given = stored.ref.name, meta.get("name")
    if given and given != name:
        raise errors.bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if stored.ref.namespace and meta.get("namespace", stored.ref.namespace) != stored.ref.namespace:
        raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if (uid := meta.get("uid")) and uid != stored.uid:
        raise errors.conflict(info, name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored.uid}")
    if (revision := meta.get("resourceVersion")) and revision != str(stored.rv):
        raise errors.conflict(info, name)


def check_selector(old: JsonObject, new: JsonObject) -> list[Cause]:
    """The selector of a workload stays what it was."""
    before, after = section(old, "spec").get("selector"), section(new, "spec").get("selector")
    if before == after:
        return []
    return [*check_template(new), Cause("FieldValueInvalid", "spec.selector", "Invalid value: field is immutable")]


def check_template(workload: JsonObject) -> list[Cause]:
    """The pods that a workload makes must be those that it selects."""
    spec = section(workload, "spec")
    labels = section(section(section(spec, "template"), "metadata"), "labels")
    wanted = section(section(spec, "selector"), "matchLabels")
    if all(labels.get(name) == value for name, value in wanted.items()):
        return []
    shown = json_text(labels)
    return [
        Cause("FieldValueInvalid", "spec.template.metadata.labels", f"Invalid value: {shown}: `selector` does not match template `labels`")
    ]


def json_text(value: object) -> str:
    """A value as messages show it."""
    return msgspec.json.encode(value).decode()


def check_finalizers(old: JsonObject, new: JsonObject) -> list[Cause]:
    """An object that is being deleted gets no new finalizers."""
    before, after = section(old, "metadata").get("finalizers"), section(new, "metadata").get("finalizers")
    known = before if isinstance(before, list) else []
    added = [f for f in after if f not in known] if isinstance(after, list) else []
    if not added or added == [FOREGROUND]:
        return []
    shown = ", ".join(f'"{name}"' for name in added)
    text = f"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
    return [Cause("FieldValueForbidden", "metadata.finalizers", text)]


def check_preconditions(info: KindInfo, stored: Stored, options: DeleteOptions) -> None:
    """ApiError 409 where the object is not the one that was to be deleted."""
    uid, revision = options.preconditions.get("uid"), options.preconditions.get("resourceVersion")
    if uid and uid != stored.uid:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record ({stored.uid})."
            " The object might have been deleted and then recreated"
        )
        raise errors.precondition_failed(info, stored.ref.name, why)
    if revision and revision != str(stored.rv):
        why = (
            f"the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({stored.rv})."
            " The object might have been modified"
        )
        raise errors.precondition_failed(info, stored.ref.name, why)
