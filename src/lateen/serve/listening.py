"""Listening TCP sockets, by addresses as flags give them. Must not know what is served."""

import socket

__all__ = ["listen"]


def listen(address: str, *, backlog: int = 128) -> socket.socket:
    """A non-blocking socket at `address` (host:port; without a host, or at [::], of both families); OSError with a sentence."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    every = host in {"", "::"}
    both = every and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both or (":" in host and not every) else socket.AF_INET
    try:
        listener = socket.create_server(("" if every else host, int(port)), family=family, dualstack_ipv6=both, backlog=backlog)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected HOST:PORT"
        raise OSError(f"{address}: cannot be listened on: {reason}; stop the process that has it or choose another address") from None
    listener.setblocking(False)
    return listener
