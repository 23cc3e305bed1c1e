"""Every namespace has a service account `default`, as Kubernetes gives it.

Why: pods that name none run as it, and it is part of their identity. Must not delete accounts: they go with their namespace.
"""

import asyncio

from lateen.api.kinds import info_of
from lateen.kube.errors import ApiError
from lateen.kube.records import section
from lateen.local.informer import Informer, Name, WorkQueue
from lateen.runtime.clock import Clock
from lateen.sources.kubeclient import KubeClient

__all__ = ["Accounts"]

_ACCOUNT = info_of("ServiceAccount")


class Accounts:
    """Follows namespaces and makes their accounts."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._client = client
        self._namespaces = Informer(client, "Namespace")
        self._accounts = Informer(client, "ServiceAccount")
        self._queue = WorkQueue("service account", self._reconcile, clock)
        self._namespaces.listen(lambda name, _old, _new: self._queue.add(name))
        self._accounts.listen(lambda name, _old, new: None if new else self._queue.add(Name("", name.namespace)))

    async def start(self) -> None:
        """Begin to follow."""
        await asyncio.gather(self._namespaces.start(), self._accounts.start())
        self._queue.start()

    async def stop(self) -> None:
        """Make nothing more."""
        await self._queue.stop()
        await asyncio.gather(self._namespaces.stop(), self._accounts.stop())

    async def _reconcile(self, name: Name) -> None:
        namespace = self._namespaces.get(name)
        if namespace is None or "deletionTimestamp" in section(namespace, "metadata"):
            return
        if self._accounts.get(Name(name.name, "default")):
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name.name}}
        try:
            self._accounts.observe(await self._client.create(_ACCOUNT, account))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
