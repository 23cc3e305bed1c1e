"""Who signs for the mesh, while it runs: the self-signed root, renewed in time, or an authority that is plugged in.

A plugged-in authority comes from the folder `cacerts` of the data folder or the Secret `cacerts` of the root namespace, and is taken over
whenever it changes. Every change has steps: first everybody trusts the new roots beside the old, then the new one signs, then what it
revokes counts. What cannot be used is refused with a sentence, and what signed before goes on. Must not answer requests.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path

from lateen.api.kinds import info_of
from lateen.ca.plugin import FILES, read_plugin
from lateen.ca.signer import Issuer, RootError, SelfSignedRoot, Signer
from lateen.runtime import log, tasks
from lateen.runtime.clock import Clock, until_set
from lateen.sources.kubeclient import KubeClient

__all__ = ["SECRET", "AuthorityKeeper", "renewal_due"]

SECRET = "cacerts"  # noqa: S105 - the name of an object
_FOLDER_LOOKS, _ROOT_LOOKS = 2.0, 3600.0  # seconds
_SPREAD = 3.0  # seconds for new roots to reach every proxy before anything is signed with them
_LAST_FIFTH = 0.2
_log = log.get("authority")


def renewal_due(root: SelfSignedRoot, now: float) -> bool:
    """Whether less than a fifth of a root's life is left, as istiod."""
    life = root.certificate.not_valid_after_utc.timestamp() - root.certificate.not_valid_before_utc.timestamp()
    return root.expires - now < life * _LAST_FIFTH


class AuthorityKeeper:
    """Changes `signer` as folder, Secret and time demand. `keep` stores a renewed root before it is used."""

    def __init__(self, signer: Signer, root: SelfSignedRoot, folder: Path, keep: Callable[[SelfSignedRoot], None], clock: Clock) -> None:
        self._signer = signer
        self._root = root
        self._folder = folder
        self._keep = keep
        self._clock = clock
        self._seen: dict[str, Mapping[str, bytes]] = {}
        self._wanted: Issuer | None = None
        self._following: list[asyncio.Task[None]] = []

    def start(self, client: KubeClient, namespace: str) -> None:
        """Follow all three."""
        self._following = [
            tasks.spawn(self._follow_folder(), name="folder of the authority"),
            tasks.spawn(self._follow_secret(client, namespace), name="secret of the authority"),
            tasks.spawn(self._follow_time(), name="life of the root"),
            tasks.spawn(self._follow_clock(), name="the machine's clock"),
        ]

    async def stop(self) -> None:
        """Follow nothing any more."""
        await tasks.cancel_all(*self._following)

    def offer(self, files: Mapping[str, bytes], where: str) -> None:
        """Take over the authority of these files if it is another than before and can be used."""
        files = {name: files[name] for name in FILES if name in files}
        if not files or self._seen.get(where) == files:
            return
        self._seen[where] = files
        try:
            issuer = read_plugin(files, self._clock.now())
        except RootError as error:
            _log.error("authority not taken over, the one before goes on signing", where=where, reason=str(error))
            return
        self.change(issuer)

    def change(self, issuer: Issuer) -> None:
        """Have `issuer` trusted now, and sign when everybody had the time to know; what it revokes counts at once if it signs already."""
        self._wanted = issuer
        if issuer.certificate == self._signer.issuer.certificate:
            self._signer.use(issuer)
            self._revoke()
            return
        self._signer.trust(issuer)
        self._following.append(tasks.spawn(self._use(issuer), name="change of the authority"))

    async def _use(self, issuer: Issuer) -> None:
        await self._clock.sleep(_SPREAD)
        if issuer is self._wanted:
            self._signer.use(issuer)
            _log.warning("another authority signs", subject=issuer.certificate.subject.rfc4514_string())
            await self._clock.sleep(_SPREAD)
            if issuer is self._wanted:
                self._revoke()

    def _revoke(self) -> None:
        before = self._signer.revoked_pem
        self._signer.revoke(self._clock.now())
        if self._signer.revoked_pem != before:
            _log.warning("lists of revoked certificates changed", lists=self._signer.revoked_pem.count(b"BEGIN X509 CRL"))

    async def _follow_folder(self) -> None:
        while True:
            self.offer(_read(self._folder), str(self._folder))
            await self._clock.sleep(_FOLDER_LOOKS)

    async def _follow_secret(self, client: KubeClient, namespace: str) -> None:
        def on_event(event: str, raw: Mapping[str, object]) -> None:
            data = raw.get("data")
            if event != "DELETED" and isinstance(data, Mapping):
                self.offer(_decoded(data), f"Secret {namespace}/{SECRET}")

        await client.reflect(
            info_of("Secret"), on_event, on_synced=lambda: None, namespace=namespace, field_selector=f"metadata.name={SECRET}"
        )

    async def _follow_clock(self) -> None:
        """A clock that was set makes certificates old, or not valid yet: all are made anew."""
        while True:
            moved = await until_set(self._clock)  # certificates are good for two minutes before they are made: less does nothing
            _log.warning("the machine's clock was set: all certificates are renewed", by_seconds=round(moved))
            self._signer.reissue()

    async def _follow_time(self) -> None:
        while True:
            if self._wanted is None and renewal_due(self._root, self._clock.now()):
                self._root = self._root.renewed(self._clock.now())
                self._keep(self._root)
                self._signer.use(self._root.issuer)  # the same key: whoever trusts the old root trusts what it signs
            await self._clock.sleep(_ROOT_LOOKS)


def _read(folder: Path) -> dict[str, bytes]:
    found = {}
    for name in FILES:
        try:
            found[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.error("file of the authority cannot be read", file=str(folder / name), reason=error.strerror)
            return {}
    return found


def _decoded(data: Mapping[str, object]) -> dict[str, bytes]:
    found = {}
    for name in FILES:
        try:
            if isinstance(value := data.get(name), str):
                found[name] = base64.b64decode(value, validate=True)
        except binascii.Error:
            found[name] = b""
    return found
