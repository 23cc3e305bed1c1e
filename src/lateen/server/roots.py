"""Keeps the roots that MeshConfig trusts beside the mesh's own (`caCertificates`) in force: texts at once, SPIFFE bundles when fetched.

What cannot be read is told and left out; a bundle that cannot be fetched again stays as it was. Must not sign.
"""

from collections.abc import Callable

from lateen.api.meshconfig import MeshConfig
from lateen.ca.signer import RootError, Signer
from lateen.ca.trust import bundle_roots, pem_roots
from lateen.runtime import log
from lateen.runtime.clock import Clock
from lateen.server.jwks import KeySets, Source

__all__ = ["FurtherRoots"]

_log = log.get("authority")


class FurtherRoots:
    """Has `signer` trust them."""

    def __init__(self, signer: Signer, source: Source, clock: Clock) -> None:
        self._signer = signer
        self._texts: list[str] = []
        self._bundles: dict[str, str] = {}
        self._fetched = KeySets(source, self._keep, clock)

    def want(self, mesh: MeshConfig) -> None:
        """Trust what this MeshConfig names, and nothing that an earlier one did."""
        self._texts = [one.pem for one in mesh.ca_certificates if one.pem]
        self._fetched.want(one.spiffe_bundle_url for one in mesh.ca_certificates if one.spiffe_bundle_url)
        self._tell()

    async def stop(self) -> None:
        """Fetch nothing any more."""
        await self._fetched.stop()

    def _keep(self, address: str, text: str | None) -> None:
        if text is None:
            self._bundles.pop(address, None)
        else:
            self._bundles[address] = text
        self._tell()

    def _tell(self) -> None:
        found = [self._read(text, pem_roots, "MeshConfig caCertificates") for text in self._texts]
        found += [self._read(text, bundle_roots, address) for address, text in sorted(self._bundles.items())]
        self._signer.trust_further(b"".join(found))

    def _read(self, text: str, read: Callable[[str], bytes], where: str) -> bytes:
        try:
            return read(text)
        except RootError as error:
            _log.error("roots not trusted", where=where, reason=str(error))
            return b""
