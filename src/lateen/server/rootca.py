"""The mesh's root on disk, and the control plane's own certificate.

The root is made once and never replaced here: every workload trusts it, so a file that cannot be read is an error for a person, not a
reason for a new one. Must not be reached by anything but the process that signs.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from lateen.ca.csr import new_request
from lateen.ca.rotation import rotate_in
from lateen.ca.signer import DEFAULT_TTL, RootError, SelfSignedRoot, Signer
from lateen.ca.spiffe import Identity
from lateen.runtime.clock import Clock
from lateen.serve.tlsfront import ServerIdentity

__all__ = ["CONTROL_PLANE_NAMES", "ControlPlaneIdentity", "keep_root", "load_or_create_root", "write_private"]

_FILE = "root-ca.pem"
# The names by which Istio's proxies reach a control plane and which they check.
CONTROL_PLANE_NAMES = ("istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local", "istiod", "localhost")


def load_or_create_root(directory: Path, trust_domain: str, clock: Clock) -> SelfSignedRoot:
    """The root kept in `directory`, made when there is none yet. It is on disk, mode 0600, before it is returned."""
    path = directory / _FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        root = SelfSignedRoot.create(trust_domain, clock.now())
        write_private(path, root.pem.reveal())
        return root
    except OSError as error:
        raise RootError(f"{path}: cannot be read: {error.strerror}. Give it back to the user that runs the mesh, mode 0600.") from None
    try:
        with os.fdopen(descriptor, "rb") as file:
            os.fchmod(file.fileno(), 0o600)
            pem = file.read()
    except IsADirectoryError:
        raise RootError(
            f"{path}: is a folder. Put back the file that belongs to this mesh, or remove it to start with a new root."
        ) from None
    try:
        root = SelfSignedRoot.load(pem)
    except RootError as error:
        raise RootError(f"{path}: {error}. Put back the file that belongs to this mesh, or remove it to start with a new root.") from None
    if root.expires <= clock.now():
        raise RootError(f"{path}: the mesh's root certificate has ended. Remove the file to start with a new one; then restart all pods.")
    return root


def keep_root(directory: Path, root: SelfSignedRoot) -> None:
    """Put `root` in the place of the one kept in `directory`."""
    write_private(directory / _FILE, root.pem.reveal())


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner may read; under another name first, so that a crash leaves no half file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        draft.unlink()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class ControlPlaneIdentity:
    """The control plane's certificate for its secure door; each call gives one with at least half of its life before it."""

    def __init__(self, signer: Signer, identity: Identity, clock: Clock, dns_names: Sequence[str] = CONTROL_PLANE_NAMES) -> None:
        self._signer = signer
        self._identity = identity
        self._names = tuple(dns_names)
        self._clock = clock
        self._issued = 0.0
        self._version = -1
        self._current: ServerIdentity | None = None

    def __call__(self) -> ServerIdentity:
        """The certificate to use now; a new one when half of the last one's life is over, or the authority is another."""
        now = self._clock.now()
        due = rotate_in(issued=self._issued, expires=self._issued + DEFAULT_TTL, now=now, jitter=0.0) == 0
        if self._current is None or due or self._version != self._signer.version:
            self._version = self._signer.version
            key, request = new_request(self._identity)
            chain = self._signer.sign(request, self._identity, DEFAULT_TTL, now, dns_names=self._names)
            roots, revoked = self._signer.roots_pem, self._signer.revoked_pem
            self._current = ServerIdentity(key=key, chain=b"".join(chain[:-1]), roots=roots, revoked=revoked)
            self._issued = now
        return self._current

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` when the authority, its roots or its lists have changed, until the function returned is called."""
        return self._signer.watch(changed)
