"""An agent's folder and the files in it: the agent's own; a proxy, or program, of another user enters and reads, and can put nothing there
for the agent to fall over. Must not know what the files are.
"""

import os
from pathlib import Path

__all__ = ["prepare", "write"]

User = tuple[int, int]  # uid, gid of who reads


def prepare(folder: Path, user: User) -> None:
    """Make the folder, or make it safe."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.geteuid() == 0:
            os.fchown(opened, 0, user[1])
            os.fchmod(opened, 0o750)
        elif os.fstat(opened).st_uid == os.geteuid():
            os.fchmod(opened, 0o700)
    finally:
        os.close(opened)


def write(path: Path, data: bytes, user: User) -> None:
    """The file with this content, or as it was: nobody sees a part of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        if os.geteuid() == 0:  # elsewhere agent and reader are one user
            os.fchown(file.fileno(), 0, user[1])
            os.fchmod(file.fileno(), 0o640)
        file.write(data)
    fresh.replace(path)
