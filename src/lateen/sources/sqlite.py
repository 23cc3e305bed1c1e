"""The store's file: SQLite in WAL mode with synchronous=FULL (HOUSE D4).

Why: an acknowledged write must survive kill -9 and power loss. `write` commits one batch and returns after the disk has it. The
history of changes is kept too, so that watches resume after a restart. Must not be called by two threads at once.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lateen.kube.records import Change, ChangeType, Ref, Saved, SavedChange

__all__ = ["SqliteFile", "StoreError"]

_FORMAT = 1
_SCHEMA = """
create table if not exists objects (
  resource text not null, namespace text not null, name text not null, body blob not null,
  primary key (resource, namespace, name)) without rowid;
create table if not exists changes (
  revision integer primary key, type text not null,
  resource text not null, namespace text not null, name text not null, body blob not null, previous blob);
create index if not exists changes_by_resource on changes (resource, revision);
create table if not exists floors (resource text primary key, revision integer not null) without rowid;
create table if not exists state (id integer primary key check (id = 0), revision integer not null);
insert or ignore into state (id, revision) values (0, 0);
"""


class StoreError(Exception):
    """The file cannot be used; the message says why and what to do."""


class SqliteFile:
    """One data file; opened at construction, closed by `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0.5)
            self._open()
        except (sqlite3.DatabaseError, OSError) as failure:
            raise StoreError(
                f"the data file {path} cannot be opened: {failure}; free the disk, mend its permissions, stop the other"
                " process that holds it, or move the file away to start empty"
            ) from failure

    def _open(self) -> None:
        self._db.execute("pragma locking_mode = exclusive")
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = full")
        self._db.execute("pragma cache_size = -1024")
        self._db.execute("pragma wal_autocheckpoint = 1000")
        found = self._db.execute("pragma user_version").fetchone()[0]
        if found > _FORMAT:
            raise StoreError(f"the data file {self._path} was written by a newer Lateen (format {found}); this one reads format {_FORMAT}")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"pragma user_version = {_FORMAT}")
        self._path.chmod(0o600)

    def load(self) -> Saved:
        """Everything that was written."""
        revision = self._db.execute("select revision from state").fetchone()[0]
        floors = dict(self._db.execute("select resource, revision from floors").fetchall())
        return Saved(revision, self._objects(), self._changes(), floors)

    def _objects(self) -> Iterator[tuple[Ref, bytes]]:
        for resource, namespace, name, body in self._db.execute("select resource, namespace, name, body from objects"):
            yield Ref(resource, namespace, name), body

    def _changes(self) -> Iterator[SavedChange]:
        query = "select type, resource, namespace, name, body, previous from changes order by revision"
        kind: ChangeType
        for kind, resource, namespace, name, body, previous in self._db.execute(query):
            yield SavedChange(kind, Ref(resource, namespace, name), body, previous)

    def write(self, changes: Sequence[Change], revision: int, floors: Mapping[str, int]) -> None:
        """All changes in one transaction, on disk when this returns; nothing of them when it raises."""
        self._db.execute("begin immediate")
        try:
            self._write(changes, revision, floors)
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise

    def _write(self, changes: Sequence[Change], revision: int, floors: Mapping[str, int]) -> None:
        self._db.executemany(
            "insert into changes (revision, type, resource, namespace, name, body, previous) values (?,?,?,?,?,?,?)",
            [(c.stored.rv, c.type, *c.stored.ref, c.stored.body, c.previous.body if c.previous else None) for c in changes],
        )
        for change in changes:
            if change.type == "DELETED":
                self._db.execute("delete from objects where resource=? and namespace=? and name=?", change.stored.ref)
            else:
                self._db.execute(
                    "insert into objects (resource, namespace, name, body) values (?,?,?,?)"
                    " on conflict (resource, namespace, name) do update set body = excluded.body",
                    (*change.stored.ref, change.stored.body),
                )
        for resource, floor in floors.items():
            self._db.execute("delete from changes where resource=? and revision<=?", (resource, floor))
            self._db.execute(
                "insert into floors (resource, revision) values (?,?) on conflict (resource) do update set revision = excluded.revision",
                (resource, floor),
            )
        self._db.execute("update state set revision = ?", (revision,))

    def close(self) -> None:
        """Release the file."""
        self._db.close()
