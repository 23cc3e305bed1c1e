"""A client to run inside a pod: `python -m lateen.testing.podcall REQUESTS`, a JSON list of `[url, method, [[name, value], ...]]`.

It prints a JSON list, one answer for each request: status, headers (names in lower case) and body; status 0 and the error's words
where there was none. Each request has a connection of its own. Must not need anything but the standard library.
"""

import http.client
import json
import sys
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

__all__ = ["main"]

_SECONDS = 20.0


def _call(address: str, method: str, headers: Iterable[tuple[str, str]]) -> dict[str, object]:
    url = urlsplit(address)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_SECONDS)
    started = time.perf_counter()
    try:
        connection.request(method, url.path + (f"?{url.query}" if url.query else ""), headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        said = {name.lower(): value for name, value in answer.getheaders()}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "headers": {}, "body": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - started}
    finally:
        connection.close()
    return {"status": answer.status, "headers": said, "body": body, "seconds": time.perf_counter() - started}


def main() -> None:
    """Call as the command line says, one request after the other."""
    print(json.dumps([_call(*request) for request in json.loads(sys.argv[1])]))  # noqa: T201


if __name__ == "__main__":
    main()
