"""Names and labels as Kubernetes allows them, with its sentences.

Must not know any kind but the few whose names are stricter.
"""

import re
from collections.abc import Iterator

from lateen.kube.errors import Cause
from lateen.kube.records import JsonObject

__all__ = ["check_metadata"]

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_KEY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'example.com', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an"
    " alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an"
    " alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_RULES = {"namespaces": (_LABEL, 63, _LABEL_TEXT), "services": (_LABEL_1035, 63, _LABEL_1035_TEXT)}


def check_metadata(resource: str, meta: JsonObject) -> list[Cause]:
    """What is wrong with an object's name, labels, annotations, owners and finalizers."""
    return [*_check_name(resource, meta), *_check_labels(meta), *_check_lists(meta)]


def _wrong(field: str, value: object, text: str) -> Cause:
    return Cause("FieldValueInvalid", field, f'Invalid value: "{value}": {text}')


def _check_name(resource: str, meta: JsonObject) -> Iterator[Cause]:
    name = meta.get("name")
    if not isinstance(name, str) or not name:
        yield Cause("FieldValueRequired", "metadata.name", "Required value: name or generateName is required")
        return
    pattern, longest, text = _RULES.get(resource, (_SUBDOMAIN, 253, _SUBDOMAIN_TEXT))
    if len(name) > longest:
        yield _wrong("metadata.name", name, f"must be no more than {longest} characters")
    elif not pattern.fullmatch(name):
        yield _wrong("metadata.name", name, text)


def _check_labels(meta: JsonObject) -> Iterator[Cause]:
    for field in ("labels", "annotations"):
        found = meta.get(field)
        if found is None:
            continue
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            yield Cause("FieldValueTypeInvalid", f"metadata.{field}", f"Invalid value: {field} must be a map of strings to strings")
            continue
        for key, value in found.items():
            if field == "labels" and (len(value) > 63 or not _VALUE.fullmatch(value)):
                yield _wrong("metadata.labels", value, _VALUE_TEXT if len(value) <= 63 else "must be no more than 63 characters")
            yield from _check_key(f"metadata.{field}", key)


def _check_key(field: str, key: str) -> Iterator[Cause]:
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        yield _wrong(field, key, "prefix part must be non-empty")
    elif prefix and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix.lower())):
        yield _wrong(field, key, f"prefix part {_SUBDOMAIN_TEXT}")
    if not name:
        yield _wrong(field, key, "name part must be non-empty")
    if len(name) > 63:
        yield _wrong(field, key, "name part must be no more than 63 characters")
    elif not _KEY.fullmatch(name):
        yield _wrong(field, key, _KEY_TEXT)


def _check_lists(meta: JsonObject) -> Iterator[Cause]:
    owners = meta.get("ownerReferences") or []
    if not isinstance(owners, list) or not all(isinstance(owner, dict) for owner in owners):
        yield Cause("FieldValueTypeInvalid", "metadata.ownerReferences", "Invalid value: must be a list of owner references")
        return
    for owner in owners:
        for part in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(owner.get(part), str) or not owner[part]:
                yield _wrong(f"metadata.ownerReferences.{part}", "", "must not be empty")
    finalizers = meta.get("finalizers") or []
    if not isinstance(finalizers, list) or not all(isinstance(f, str) and f for f in finalizers):
        yield Cause("FieldValueTypeInvalid", "metadata.finalizers", "Invalid value: must be a list of names")
