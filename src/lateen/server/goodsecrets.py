"""The last good form of Secrets that turned unusable: gateways go on with it, also those that start now, also after a restart.

A form is judged when another takes its place, so that reading thousands of Secrets at a start costs nothing. The file holds keys, of such
Secrets only, for its owner alone. Must not tell what is wrong: whoever plans with a Secret does.
"""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from lateen.api.meta import Key, ObjectMeta
from lateen.api.objects import Secret
from lateen.compile.plan_secrets import is_usable
from lateen.runtime import log
from lateen.server.rootca import write_private
from lateen.util import redact

__all__ = ["GoodSecrets"]

_log = log.get("secrets")


class _Record(Struct, frozen=True, kw_only=True):
    key: Key
    uid: str
    data: dict[str, str]


class GoodSecrets:
    """`stage` is given the form to fall back on, or None where there is no need for one; `path` is the file (None: nothing is kept)."""

    def __init__(self, path: Path | None, stage: Callable[[Key, Secret | None], None]) -> None:
        self._path = path
        self._stage = stage
        self._newest: dict[Key, Secret] = {}
        self._good: dict[Key, Secret] = {}  # of those whose newest form is of no use

    def load(self) -> None:
        """Read what the last run kept; before any object is told."""
        try:
            content = self._path.read_bytes() if self._path is not None else b"[]"
            self._good = {record.key: _secret(record) for record in msgspec.json.decode(content, type=list[_Record])}
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, binascii.Error) as error:
            reason = type(error).__name__  # its text might be of a key
            _log.warning("last good Secrets not read; unusable ones have none", file=str(self._path), reason=reason)

    def take(self, key: Key, newest: Secret | None) -> None:
        """The newest form of a Secret, None where it is gone."""
        before = self._newest.pop(key, None)
        if newest is not None:
            self._newest[key] = newest
        good = self._good.get(key)
        if newest is None or (good is not None and (good.metadata.uid != newest.metadata.uid or is_usable(newest))):
            self._forget(key)
        elif good is not None:
            self._stage(key, good)
        elif before is not None and before.data != newest.data and not is_usable(newest) and is_usable(before):
            _log.warning("a Secret turned unusable; its last good form is used", secret=str(key))
            self._good[key] = before
            self._stage(key, before)
            self._keep()

    def _forget(self, key: Key) -> None:
        if self._good.pop(key, None) is not None:
            self._stage(key, None)
            self._keep()

    def _keep(self) -> None:
        if self._path is None:
            return
        content = msgspec.json.encode([_record(key, self._good[key]) for key in sorted(self._good)])
        try:
            write_private(self._path, content)
        except OSError as error:
            _log.warning("last good Secrets not written; a restart loses them", file=str(self._path), reason=error.strerror)


def _record(key: Key, secret: Secret) -> _Record:
    data = {name: base64.b64encode(value.reveal()).decode() for name, value in secret.data.items()}
    return _Record(key=key, uid=secret.metadata.uid, data=data)


def _secret(record: _Record) -> Secret:
    meta = ObjectMeta(name=record.key.name, namespace=record.key.namespace, uid=record.uid)
    data = {name: redact.Secret(base64.b64decode(value, validate=True)) for name, value in record.data.items()}
    return Secret(metadata=meta, data=data)
