"""Prints the API's tables, as kubectl does: columns padded, ages instead of times."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from lateen.kube.ages import age
from lateen.kube.records import JsonObject, dicts, section
from lateen.runtime.clock import SystemClock

__all__ = ["print_rows", "print_table"]

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT")


def print_table(table: JsonObject, *, wide: bool, namespaces: bool, headers: bool) -> None:
    """A `meta.k8s.io` Table; columns of lower priority only when `wide`."""
    columns = dicts(table.get("columnDefinitions"))
    shown = [number for number, column in enumerate(columns) if wide or not column.get("priority")]
    rows = [[str(columns[number].get("name", "")).upper() for number in shown]] if headers else []
    names = ["NAMESPACE"] if headers else []
    for row in dicts(table.get("rows")):
        cells = row.get("cells")
        listed = cells if isinstance(cells, list) else []
        rows.append([_cell(listed[number], columns[number]) for number in shown])
        names.append(str(section(section(row, "object"), "metadata").get("namespace", "")))
    if namespaces:
        rows = [[name, *cells] for name, cells in zip(names, rows, strict=True)]
    if len(rows) == int(headers):
        click.echo("No resources found", err=True)
        return
    print_rows(rows)


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side, three blanks apart."""
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: object, column: JsonObject) -> str:
    if value is None:
        return ""
    if column.get("type") == "date" and _TIMESTAMP.match(str(value)):  # Lateen's own API sends ages already
        return age(value, datetime.fromtimestamp(SystemClock().now(), UTC))
    return str(value)
