"""What was set aside because Envoy refused it, and the form used in its place, in a file: a restart loses neither.

Why: without it a control plane that starts again has only the refused form, and a rule that worked is gone until somebody repairs it.
Another version of Lateen gives each refused form its chance again. Must not decide what is set aside.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lateen import __version__
from lateen.api.decode import decode_object, to_json
from lateen.api.meta import Key, ObjectMeta
from lateen.runtime import log
from lateen.server.refusals import Refusal
from lateen.server.rootca import write_private

__all__ = ["Kept", "LastGood", "digest_of"]

_log = log.get("quarantine")


class Kept(Struct, frozen=True, kw_only=True):
    """One object: which form of it was refused, how, and what is used instead (None: nothing).

    `judged`: it was not only suspected when this was written.
    """

    uid: str
    digest: str
    refusal: Refusal
    before: Struct | None
    judged: bool


class _Record(Struct, frozen=True, kw_only=True):
    key: Key
    uid: str
    digest: str
    refusal: Refusal
    before: dict[str, Any] | None
    judged: bool


class _File(Struct, frozen=True):
    version: str
    refused: tuple[_Record, ...] = ()


class LastGood:
    """The file at `path`; with None nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = b""

    def load(self) -> dict[Key, Kept]:
        """What the file says; nothing where there is none or it cannot be read."""
        if self._path is None:
            return {}
        try:
            self._written = self._path.read_bytes()
            file = msgspec.json.decode(self._written, type=_File)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            _log.warning("file of refused objects not read; refused forms are tried again", file=str(self._path), error=str(error))
            return {}
        same = file.version == __version__
        return {record.key: _kept(record, same_version=same) for record in file.refused}

    def keep(self, refused: Mapping[Key, Kept]) -> None:
        """Make the file say this."""
        if self._path is None:
            return
        records = tuple(_record(key, refused[key]) for key in sorted(refused))
        content = msgspec.json.encode(_File(__version__, records))
        if content == self._written or not (records or self._written):
            return
        try:
            write_private(self._path, content)
        except OSError as error:
            _log.warning("file of refused objects not written; a restart will try them again", file=str(self._path), error=str(error))
        else:
            self._written = content


def digest_of(obj: Struct) -> str:
    """Tells one spec from another; generations of objects in a folder begin anew with each start."""
    return hashlib.sha256(msgspec.json.encode(to_json(obj).get("spec"), order="sorted")).hexdigest()


def _record(key: Key, kept: Kept) -> _Record:
    before = None if kept.before is None else to_json(kept.before)
    return _Record(key=key, uid=kept.uid, digest=kept.digest, refusal=kept.refusal, before=before, judged=kept.judged)


def _kept(record: _Record, *, same_version: bool) -> Kept:
    before = decode_object(record.before, lenient=True)[0] if record.before is not None else None
    meta = getattr(before, "metadata", None)
    if before is not None and isinstance(meta, ObjectMeta):
        before = replace(before, metadata=replace(meta, generation=0))  # no other form's of this run
    judged = record.judged and same_version
    return Kept(uid=record.uid, digest=record.digest, refusal=record.refusal, before=before, judged=judged)
