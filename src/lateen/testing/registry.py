"""A registry of images on loopback, which also serves plain files: what modules are fetched from in tests.

With a `login` it gives images only for a token, and tokens only for that login. `asked` are the paths that were asked for.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Registry", "registry"]

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """What is served, by path; add to it while it runs."""

    def __init__(self, login: str = "") -> None:
        self.login = login
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.port = 0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def push(self, name: str, tag: str, layer: bytes, media_type: str) -> str:
        """An image of one layer; its digest."""
        digest = self._blob(name, layer)
        layers = [{"mediaType": media_type, "digest": digest, "size": len(layer)}]
        manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "layers": layers}).encode()
        found = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        for reference in (tag, found):
            self.answers[f"/v2/{name}/manifests/{reference}"] = manifest
        return found

    def _blob(self, name: str, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.answers[f"/v2/{name}/blobs/{digest}"] = data
        return digest

    def pull_secret(self) -> bytes:
        """A docker configuration with the login."""
        return json.dumps({"auths": {self.address: {"auth": base64.b64encode(self.login.encode()).decode()}}}).encode()

    def answer(self, path: str, authorization: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body."""
        self.asked.append(path)
        if path.startswith("/token"):
            known = authorization == f"Basic {base64.b64encode(self.login.encode()).decode()}"
            return (200, {}, b'{"token": "let-me-in"}') if known else (403, {}, b"")
        if self.login and path.startswith("/v2/") and authorization != "Bearer let-me-in":
            challenge = f'Bearer realm="http://{self.address}/token",service="test",scope="pull"'
            return 401, {"WWW-Authenticate": challenge}, b""
        found = self.answers.get(path)
        return (404, {}, b"") if found is None else (200, {}, found)


@contextmanager
def registry(login: str = "") -> Iterator[Registry]:
    """A running one."""
    served = Registry(login)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = served.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        served.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
