"""The helloworld sample: says its version (`SERVICE_VERSION`) and its instance. Must not do more."""

import os

from lateen.samples.http1 import Request, Response
from lateen.samples.web import Handler, Params, Route, hostname, main, route, text

__all__ = ["build_helloworld"]


def build_helloworld(version: str, instance: str) -> Handler:
    async def hello(_: Request, __: Params) -> Response:
        return text(f"Hello version: {version}, instance: {instance}\n")

    async def health(_: Request, __: Params) -> Response:
        return text("Helloworld is healthy")

    return route((Route("GET", "/hello", hello), Route("GET", "/health", health)))


if __name__ == "__main__":
    main("helloworld", build_helloworld(os.environ.get("SERVICE_VERSION", "v1"), hostname()), 5000)
