"""`pilot-agent request METHOD PATH [BODY]` inside a proxy's container: a call to Envoy's admin interface, as Istio's tasks make it.

Must not need anything but the standard library: it starts for each call.
"""

import http
import http.client
import sys

__all__ = ["main"]

_ADMIN = ("localhost", 15000)
_SECONDS = 60
_USAGE = "usage: pilot-agent request METHOD PATH [BODY]"


def main(arguments: list[str]) -> int:
    """Print the answer's body; 1 when there is none, or it is not a 200."""
    match arguments:
        case ["request", method, path]:
            body = None
        case ["request", method, path, body]:
            pass
        case _:
            sys.stderr.write(f"{_USAGE}\n")
            return 64
    connection = http.client.HTTPConnection(*_ADMIN, timeout=_SECONDS)
    try:
        connection.request(method, f"/{path.lstrip('/')}", body)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except OSError as error:
        sys.stderr.write(f"pilot-agent: Envoy's admin interface at {_ADMIN[0]}:{_ADMIN[1]} does not answer: {error}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(said)
    if answer.status != http.HTTPStatus.OK:
        sys.stderr.write(f"pilot-agent: {method} {path}: {answer.status} {answer.reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
