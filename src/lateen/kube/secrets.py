"""Secrets and ConfigMaps: what they must hold.

Why: a Secret of a known type without its keys, or with text that is no base64, is a mistake that shows hours later elsewhere. As in
Kubernetes the API looks at keys and encoding only; what certificates say is looked at by those who use them.
Must not know who reads them.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping

from lateen.kube.errors import Cause, bad_request
from lateen.kube.records import JsonObject, section

__all__ = ["check_frozen", "check_held", "merge_string_data"]

_LARGEST = 1 << 20
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
_REQUIRED = "Required value"


def merge_string_data(obj: JsonObject) -> None:
    """Put a Secret's `stringData` into its `data`; the caller's own copy."""
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict):
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in plain.items() if isinstance(v, str)}
        obj["data"] = section(obj, "data") | encoded


def check_held(resource: str, obj: Mapping[str, object]) -> Iterator[Cause]:
    """What is wrong with the data; ApiError 400 where it is no base64."""
    secret = resource == "secrets"
    sizes = [_size(value, encoded=secret) for value in section(obj, "data").values()]
    sizes += [_size(value, encoded=True) for value in section(obj, "binaryData").values()]
    if sum(sizes) > _LARGEST:
        yield Cause("FieldValueTooLong", "data" if secret else "", f"Too long: may not be more than {_LARGEST} bytes")
    if secret:
        yield from _check_type(obj)


def _size(value: object, *, encoded: bool) -> int:
    if not isinstance(value, str):
        return 0
    if not encoded:
        return len(value.encode())
    try:
        return len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError) as problem:
        raise bad_request(f"the data cannot be handled: illegal base64 data: {problem}; encode it, or use stringData") from problem


def _check_type(obj: Mapping[str, object]) -> Iterator[Cause]:
    kind, data = str(obj.get("type", "")), section(obj, "data")
    for key in _NEEDED.get(kind, ()):
        if key not in data:
            yield Cause("FieldValueRequired", f"data[{key}]", _REQUIRED)
        elif kind.startswith("kubernetes.io/dockerc") and not _is_json(data[key]):
            yield Cause("FieldValueInvalid", f"data[{key}]", 'Invalid value: "<secret contents redacted>": it is no JSON')
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield Cause("FieldValueRequired", "data[username]", _REQUIRED)
        yield Cause("FieldValueRequired", "data[password]", _REQUIRED)
    annotations = section(section(obj, "metadata"), "annotations")
    if kind == "kubernetes.io/service-account-token" and not annotations.get("kubernetes.io/service-account.name"):
        yield Cause("FieldValueRequired", "metadata.annotations[kubernetes.io/service-account.name]", _REQUIRED)


def _is_json(value: object) -> bool:
    try:
        json.loads(base64.b64decode(str(value)))
    except (ValueError, RecursionError):
        return False
    return True


def check_frozen(resource: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Cause]:
    """A Secret keeps its type; what is marked immutable keeps its data and the mark."""
    if resource == "secrets" and old.get("type") != new.get("type"):
        yield Cause("FieldValueInvalid", "type", f'Invalid value: "{new.get("type")!s:.80}": field is immutable')
    if old.get("immutable") is True:
        if new.get("immutable") is not True:
            yield Cause("FieldValueForbidden", "immutable", "Forbidden: field is immutable when `immutable` is set")
        for name in ("data", "binaryData"):
            if old.get(name) != new.get(name):
                yield Cause("FieldValueForbidden", name, "Forbidden: field is immutable when `immutable` is set")
