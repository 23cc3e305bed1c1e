"""Bodies of requests: read up to a limit, decoded to JSON objects.

Must not interpret what an object says.
"""

import json

import msgspec
from starlette.requests import Request

from lateen.api.decode import read_documents
from lateen.api.decode_typed import path_text
from lateen.kube.errors import ApiError, Cause, bad_request, error, invalid, unsupported_media
from lateen.kube.options import DeleteOptions
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, is_custom, section
from lateen.serve.http_kube import protobuf

__all__ = ["content_type", "decode_configuration", "decode_object", "duplicate_fields", "parse_delete_options", "read_body"]

LIMIT = 3 << 20
_YAML = ("application/yaml", "application/apply-patch+yaml")
_decoder = msgspec.json.Decoder()


async def read_body(request: Request) -> bytes:
    """The whole body; ApiError 413 when it is longer than Kubernetes allows."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LIMIT:
            raise error(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")
        parts.append(part)
    return b"".join(parts)


def content_type(request: Request) -> str:
    """The media type without parameters; JSON where none is named."""
    return request.headers.get("content-type", "application/json").partition(";")[0].strip().lower() or "application/json"


def decode_object(target: Target, media: str, body: bytes) -> JsonObject:
    """The object of a create or replace."""
    if media == protobuf.MEDIA_TYPE and not is_custom(target.info):
        return _checked(target, protobuf.decode_protobuf(body), b"")
    if media not in ("application/json", *_YAML):
        raise unsupported_media(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml"
        )
    return _checked(target, parse(target, media, body), body)


def parse(target: Target, media: str, body: bytes) -> object:
    """JSON or YAML as plain values."""
    if media in _YAML and not body.lstrip().startswith(b"{"):
        return _parse_yaml(target, body)
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        why = "unexpected end of JSON input" if "truncated" in str(problem) else str(problem)
        raise _unrecognized(target, f"couldn't get version/kind; json parse error: {why}", body) from problem


def _parse_yaml(target: Target, body: bytes) -> object:
    documents = list(read_documents(body, "request body"))
    problems = [problem.message for document in documents for problem in document.problems()]
    if len(documents) != 1 or problems:
        raise _unrecognized(target, "; ".join(problems) or "expected one YAML document", body)
    return documents[0].raw


def _unrecognized(target: Target, why: str, body: bytes) -> ApiError:
    shown = body[:32].decode("utf-8", "replace") + (" ..." if len(body) > 32 else "")
    return bad_request(f"the object provided is unrecognized (must be of type {target.info.kind}): {why} ({shown})")


def _checked(target: Target, value: object, body: bytes) -> JsonObject:
    info = target.info
    version = info.api_version_of(target.version)
    if not isinstance(value, dict):
        raise _unrecognized(target, "couldn't get version/kind; the body must be an object", body)
    if not value.get("kind") and is_custom(info):
        raise _unrecognized(target, f"Object 'Kind' is missing in '{body[:200].decode('utf-8', 'replace')}'", body)
    kind, given = str(value.get("kind") or info.kind), str(value.get("apiVersion") or version)
    if kind != info.kind and is_custom(info):
        name = str(section(value, "metadata").get("name", ""))
        wrong = msgspec.structs.replace(info, kind=kind)
        raise invalid(wrong, name, [Cause("FieldValueInvalid", "kind", f'Invalid value: "{kind}": must be {info.kind}')])
    if kind != info.kind:
        raise bad_request(
            f'{kind} in version "{given}" cannot be handled as a {info.kind}: it was sent to {info.plural}; send it to its own resource'
        )
    if given not in {info.api_version_of(v) for v in info.versions}:
        raise bad_request(f"the API version in the data ({given}) does not match the expected API version ({version})")
    if not isinstance(value.get("metadata", {}), dict):
        raise bad_request(f'{kind} in version "{given}" cannot be handled as a {info.kind}: metadata must be an object')
    return value


def decode_configuration(target: Target, body: bytes) -> JsonObject:
    """The object of a server-side apply, in YAML or JSON, which must say what it is."""
    value = parse(target, "application/apply-patch+yaml", body)
    if not isinstance(value, dict) or not value.get("kind") or not value.get("apiVersion"):
        raise bad_request("invalid object type: /, Kind=: an applied configuration needs apiVersion and kind")
    if section(value, "metadata").get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    return _checked(target, value, body)


def duplicate_fields(body: bytes) -> tuple[str, ...]:
    """Paths of fields that a JSON body gives twice; only the last of them counts."""
    twice = False

    def collect(pairs: list[tuple[str, object]]) -> None:
        nonlocal twice
        twice = twice or len(pairs) > len({key for key, _ in pairs})

    try:
        json.loads(body, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return ()
    if not twice:
        return ()
    notes = [note for document in read_documents(body, "request body") for note in document.notes]
    return tuple(path_text(note.path) for note in notes if note.code == "duplicate-field")


def parse_delete_options(media: str, body: bytes, query: DeleteOptions) -> DeleteOptions:
    """The DeleteOptions of a body; what it leaves out comes from the query."""
    if not body.strip():
        return query
    try:
        raw = protobuf.decode_protobuf(body) if media == protobuf.MEDIA_TYPE else _decoder.decode(body)
        options = msgspec.convert(raw, DeleteOptions)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise bad_request(f"the DeleteOptions of the body cannot be read: {problem}") from problem
    return DeleteOptions(
        options.propagation_policy or query.propagation_policy,
        query.grace_period_seconds if options.grace_period_seconds is None else options.grace_period_seconds,
        options.dry_run or query.dry_run,
        options.preconditions,
        options.orphan_dependents,
    )
