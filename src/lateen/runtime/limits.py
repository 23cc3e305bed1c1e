"""What the kernel lets this process have. Must not lower anything."""

import resource

__all__ = ["allow_open_files"]


def allow_open_files() -> None:
    """As many open files as this user may have: a shell's 1,024 are fewer than a mesh's connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
