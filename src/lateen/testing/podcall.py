"""A client to run inside a pod: `python -m lateen.testing.podcall URL [--times N] [--method M] [--header NAME:VALUE]...`.

It prints a JSON list, one answer for each call: status, headers (names in lower case) and body; status 0 and the error's words
where there was none. Each call has a connection of its own. Must not need anything but the standard library.
"""

import argparse
import http.client
import json
import time
from urllib.parse import urlsplit

__all__ = ["main"]

_SECONDS = 20.0


def _call(options: argparse.Namespace) -> dict[str, object]:
    url = urlsplit(options.url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=_SECONDS)
    headers = dict(field.split(":", 1) for field in options.header)
    started = time.perf_counter()
    try:
        connection.request(options.method, url.path + (f"?{url.query}" if url.query else ""), headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        said = {name.lower(): value for name, value in answer.getheaders()}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "headers": {}, "body": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - started}
    finally:
        connection.close()
    return {"status": answer.status, "headers": said, "body": body, "seconds": time.perf_counter() - started}


def main() -> None:
    """Call as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--method", default="GET")
    parser.add_argument("--header", action="append", default=[])
    options = parser.parse_args()
    print(json.dumps([_call(options) for _ in range(options.times)]))  # noqa: T201


if __name__ == "__main__":
    main()
