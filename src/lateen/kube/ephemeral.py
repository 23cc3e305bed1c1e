"""Ephemeral containers: what `kubectl debug` adds to a pod that runs. They may be added by their own subresource only, and stay.

Must not know how a container is started.
"""

from lateen.api.kinds import KindInfo
from lateen.kube import errors
from lateen.kube.errors import Cause
from lateen.kube.records import JsonObject, dicts, section

__all__ = ["with_ephemeral"]

_FIELD = "spec.ephemeralContainers"


def with_ephemeral(info: KindInfo, old: JsonObject, new: JsonObject) -> JsonObject:
    """The old pod with the new one's ephemeral containers: nothing else may change through that door.

    ApiError 422 where one is not sound.
    """
    spec, given = section(old, "spec"), dicts(section(new, "spec").get("ephemeralContainers"))
    causes = [*_unsound(spec, given)]
    before = {str(each.get("name")): each for each in dicts(spec.get("ephemeralContainers"))}
    after = {str(each.get("name")): each for each in given}
    if any(after.get(name) != each for name, each in before.items()):
        causes.append(Cause("FieldValueForbidden", _FIELD, "Forbidden: existing ephemeral containers may not be changed or removed"))
    if causes:
        raise errors.invalid(info, str(section(old, "metadata").get("name", "")), causes)
    metadata = dict(section(old, "metadata"))
    if managed := section(new, "metadata").get("managedFields"):
        metadata["managedFields"] = managed
    return old | {"metadata": metadata, "spec": spec | {"ephemeralContainers": given}}


def _unsound(spec: JsonObject, given: list[JsonObject]) -> list[Cause]:
    others = {str(each.get("name")) for name in ("containers", "initContainers") for each in dicts(spec.get(name))}
    causes: list[Cause] = []
    for index, each in enumerate(given):
        at, name = f"{_FIELD}[{index}]", str(each.get("name", ""))
        causes += [Cause("FieldValueRequired", f"{at}.{field}", "Required value") for field in ("name", "image") if not each.get(field)]
        if name in others:
            causes.append(Cause("FieldValueDuplicate", f"{at}.name", f'Duplicate value: "{name}"'))
        others.add(name)
        target = str(each.get("targetContainerName") or "")
        if target and target not in {str(one.get("name")) for one in dicts(spec.get("containers"))}:
            causes.append(Cause("FieldValueNotFound", f"{at}.targetContainerName", f'Not found: "{target}"'))
    return causes
