"""What Bookinfo's four services share: where the others are, and which headers go on from a request to the next.

Must not serve anything itself.
"""

from collections.abc import Mapping

from lateen.samples.http1 import Headers

__all__ = ["PORT", "backend", "is_product", "pass_on"]

PORT = 9080

# A trace is one only if every service passes these on; the mesh cannot do it for them.
_PASSED_ON = (
    "x-request-id",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "traceparent",
    "tracestate",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "sw8",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
    "jwt",
)


def pass_on(headers: Headers) -> tuple[tuple[str, str], ...]:
    """The fields of `headers` that a request to a back-end carries too."""
    return tuple((name, value) for name in _PASSED_ON for value in headers.all(name)[:1])


def backend(name: str, environ: Mapping[str, str]) -> str:
    """The address of the service `name`, as `http://details:9080/details`.

    `DETAILS_HOSTNAME`, `DETAILS_SERVICE_PORT` and `SERVICES_DOMAIN` change its parts, as with the originals.
    """
    host = environ.get(f"{name.upper()}_HOSTNAME") or name
    domain = environ.get("SERVICES_DOMAIN", "")
    port = environ.get(f"{name.upper()}_SERVICE_PORT") or PORT
    return f"http://{host}{'.' + domain if domain else ''}:{port}/{name}"


def is_product(word: str) -> bool:
    """Whether the last part of a path is the number of a product."""
    return word.isascii() and word.isdigit() and len(word) < 20
