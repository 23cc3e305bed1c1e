"""Three-way apply as kubectl does it: the annotation keeps what was applied last, so a field that left the file leaves the object,
and what others have set stays.
"""

import json
from collections.abc import Mapping

from lateen.kube.records import JsonObject, section

__all__ = ["ANNOTATION", "last_applied", "three_way", "with_last_applied"]

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def with_last_applied(raw: JsonObject) -> JsonObject:
    """The object with itself in the annotation."""
    metadata = section(raw, "metadata")
    annotations = {key: value for key, value in section(metadata, "annotations").items() if key != ANNOTATION}
    plain = {**raw, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}
    text = json.dumps(plain, separators=(",", ":"), sort_keys=True) + "\n"
    return {**raw, "metadata": {**metadata, "annotations": {**annotations, ANNOTATION: text}}}


def last_applied(stored: JsonObject) -> JsonObject:
    """What was applied last; empty when the object was made in another way."""
    text = section(section(stored, "metadata"), "annotations").get(ANNOTATION)
    try:
        found = json.loads(text) if isinstance(text, str) else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def three_way(last: Mapping[str, object], wanted: Mapping[str, object]) -> JsonObject:
    """The JSON merge patch: everything wanted, and null for what was applied last but is no longer wanted."""
    patch: JsonObject = {key: None for key in last if key not in wanted}
    for key, value in wanted.items():
        before = last.get(key)
        patch[key] = three_way(before if isinstance(before, Mapping) else {}, value) if isinstance(value, Mapping) else value
    return patch
