"""Keeps users' definitions moving: their conditions, and the objects that go with a definition.

Why: a client waits for `Established`; on Kubernetes controllers say it some moments after the definition was stored. Must not decide what
is said: see `kube.definitions`.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from lateen.api.kinds import info_of
from lateen.kube.defined import DEFINITIONS, defined_kind
from lateen.kube.definitions import CLEANUP, is_built_in, next_status
from lateen.kube.errors import ApiError
from lateen.kube.options import DeleteOptions
from lateen.kube.paths import Target
from lateen.kube.records import JsonObject, Stored, load, resource_id, section
from lateen.runtime import log, tasks
from lateen.util.times import rfc3339

if TYPE_CHECKING:
    from lateen.serve.http_kube.live import LiveStore

__all__ = ["establish"]


async def establish(live: "LiveStore") -> None:
    """Follow the definitions until the store closes."""
    ending: dict[str, asyncio.Task[None]] = {}
    with live.watching(DEFINITIONS) as changed:
        while not live.closed:
            changed.clear()
            for stored in live.store.list(DEFINITIONS):
                definition = load(stored.body)
                if is_built_in(definition):
                    continue
                try:
                    await _say(live, stored, definition)
                except ApiError as error:
                    if live.closed:
                        return
                    log.get("kube").error("a definition's conditions could not be written", definition=stored.ref.name, error=str(error))
                if stored.deleting and CLEANUP in str(section(definition, "metadata").get("finalizers")) and stored.uid not in ending:
                    ending[stored.uid] = tasks.spawn(_end(live, stored, definition), name=f"end {stored.ref.name}")
            await changed.wait()


def _target(stored: Stored, subresource: str = "") -> Target:
    return Target(info_of("CustomResourceDefinition"), "v1", "", stored.ref.name, subresource)


async def _say(live: "LiveStore", stored: Stored, definition: JsonObject) -> None:
    """Write the status that follows, unless the definition has changed meanwhile: then its own change brings us back."""
    others = [load(one.body) for one in live.store.list(DEFINITIONS) if one.ref != stored.ref]
    status = next_status(definition, others, rfc3339(live.now().timestamp()))
    if status is None:
        return
    try:
        await live.write(partial(live.registry.modify, _target(stored, "status"), lambda _: definition | {"status": status}))
    except ApiError as error:
        if error.code not in (404, 409):
            raise


async def _end(live: "LiveStore", stored: Stored, definition: JsonObject) -> None:
    """Delete a definition's objects, and let it go when the last one has gone."""
    info = defined_kind(definition)
    with live.watching(resource_id(info)) as changed:
        while not live.closed:
            changed.clear()
            left = live.store.list(resource_id(info))
            try:
                for one in left:
                    if not one.deleting:
                        target = Target(info, "", one.ref.namespace, one.ref.name)
                        await live.write(partial(live.registry.delete, target, DeleteOptions()))
                if not left:
                    await live.write(partial(live.registry.modify, _target(stored), _released))
                    return
            except ApiError as error:
                if error.code != 404 and not live.closed:
                    log.get("kube").error("a definition's objects could not be deleted", definition=stored.ref.name, error=str(error))
                    return
            if left and not changed.is_set():
                await changed.wait()


def _released(definition: JsonObject) -> JsonObject:
    meta = section(definition, "metadata")
    held = meta.get("finalizers")
    kept = [one for one in held if one != CLEANUP] if isinstance(held, list) else []
    return definition | {"metadata": {**{k: v for k, v in meta.items() if k != "finalizers"}, **({"finalizers": kept} if kept else {})}}
