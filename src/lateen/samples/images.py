"""The table from a container's image to the command that runs instead of it on a machine without containers.

It knows the images of Istio's samples and what those set in their environment. Must not start anything, and must not
look at the machine except through `which`.
"""

import itertools
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple, TypeVar

__all__ = ["Command", "inside", "repository", "resolve"]

Which = Callable[[str], str | None]
T = TypeVar("T")

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Command(NamedTuple):
    """What to run; `env` is what the image sets, which the container's own `env` overrides."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = _NOTHING


class _Sample(NamedTuple):
    """`inside` are the programs of the image that a container's `command` may name: they are not the machine's."""

    program: str
    env: Mapping[str, str] = _NOTHING
    inside: tuple[str, ...] = ()
    takes_args: bool = False


def _reviews(version: str, **env: str) -> _Sample:
    return _Sample("reviews", {"SERVICE_VERSION": version, **env}, ("server", "docker-server.sh"))


_HTTPBIN = _Sample("httpbin", {"PORT": "8080"}, ("go-httpbin",))
_PYTHON_HTTPBIN = _Sample("httpbin", {"PORT": "80"}, ("gunicorn", "pipenv"))

# By the end of the image's name, so that a mirror's registry and folders do not matter.
_SAMPLES: Mapping[str, _Sample] = {
    "examples-bookinfo-productpage-v1": _Sample("productpage", {"SERVICE_VERSION": "v1"}, ("python", "gunicorn")),
    "examples-bookinfo-details-v1": _Sample("details", {"SERVICE_VERSION": "v1"}, ("ruby",)),
    "examples-bookinfo-details-v2": _Sample("details", {"SERVICE_VERSION": "v2", "ENABLE_EXTERNAL_BOOK_SERVICE": "true"}, ("ruby",)),
    "examples-bookinfo-ratings-v1": _Sample("ratings", {"SERVICE_VERSION": "v1"}, ("node",)),
    "examples-bookinfo-reviews-v1": _reviews("v1", ENABLE_RATINGS="false"),
    "examples-bookinfo-reviews-v2": _reviews("v2", ENABLE_RATINGS="true", STAR_COLOR="black"),
    "examples-bookinfo-reviews-v3": _reviews("v3", ENABLE_RATINGS="true", STAR_COLOR="red"),
    "examples-helloworld-v1": _Sample("helloworld", {"SERVICE_VERSION": "v1"}, ("python", "gunicorn")),
    "examples-helloworld-v2": _Sample("helloworld", {"SERVICE_VERSION": "v2"}, ("python", "gunicorn")),
    "tcp-echo-server": _Sample("tcp_echo", inside=("tcp-echo",), takes_args=True),
    "ext-authz": _Sample("ext_authz", inside=("ext-authz", "server"), takes_args=True),
    "fortio/fortio": _Sample("fortio", inside=("fortio",), takes_args=True),
    "mccutchen/go-httpbin": _HTTPBIN,
    "kong/httpbin": _PYTHON_HTTPBIN,
    "kennethreitz/httpbin": _PYTHON_HTTPBIN,
    "citizenstig/httpbin": _PYTHON_HTTPBIN,
}

# Images whose whole use is one program that the machine has too.
_PLAIN: Mapping[str, str] = {"curlimages/curl": "curl", "pstauffer/curl": "curl", "governmentpaas/curl-ssl": "curl"}


def repository(image: str) -> str:
    """The image's name without its registry, tag and digest: `istio/examples-helloworld-v1`."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    name = head + slash + tail.partition(":")[0]
    first, slash, rest = name.partition("/")
    return rest if slash and (first == "localhost" or re.search(r"[.:]", first)) else name


def _entry(table: Mapping[str, T], name: str) -> T | None:
    """The entry for the end of `name`, the longest one first."""
    parts = name.split("/")
    return next((table[tail] for i in range(len(parts)) if (tail := "/".join(parts[i:])) in table), None)


def resolve(
    image: str,
    command: tuple[str, ...] = (),
    args: tuple[str, ...] = (),
    *,
    extra: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    which: Which = shutil.which,
) -> Command | None:
    """What runs in place of `image` with the container's `command` and `args`; None where nobody knows.

    A `command` that the machine has is run as it is, under any image. Otherwise a user's own entry of `extra` (by image
    as written, or by the end of its name) stands for image and command, and then the samples' table.
    """
    name = repository(image)
    own = extra.get(image) or _entry(extra, name)
    sample = None if own else _entry(_SAMPLES, name)
    if sample and (not command or _names_inside(sample, command[0])):
        return _run_sample(sample, (*command[1:], *args))
    if command and (found := _on_machine(command[0], which)):
        return Command((found, *command[1:], *args), sample.env if sample else _NOTHING)
    if own:
        return Command((*own, *args))
    plain = None if command else _entry(_PLAIN, name)
    if plain and (found := _on_machine(plain, which)):
        return Command((found, *args))
    return None


def inside(image: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """A command that somebody runs in a container of `image`: a program of the image is ours, another one stays as it is."""
    sample = _entry(_SAMPLES, repository(image))
    if sample and sample.takes_args and _names_inside(sample, command[0]):
        return _run_sample(sample, command[1:]).argv
    return command


def _on_machine(program: str, which: Which) -> str | None:
    """The program as given, or the one of the same name where this machine keeps it elsewhere."""
    return which(program) or which(PurePosixPath(program).name)


def _names_inside(sample: _Sample, program: str) -> bool:
    return re.sub(r"[\d.]+$", "", PurePosixPath(program).name) in sample.inside


def _run_sample(sample: _Sample, args: tuple[str, ...]) -> Command:
    """Our program in place of the image's; what the arguments of the original say about its port is kept."""
    argv = (sys.executable, "-P", "-m", f"lateen.samples.{sample.program}")
    if sample.takes_args:
        return Command((*argv, *args), sample.env)
    port = _port(args)
    return Command((*argv, port) if port else argv, sample.env)


_PORT_OPTION = re.compile(r"--?(?:b|bind|p|port)(?:=|$)")


def _port(args: tuple[str, ...]) -> str | None:
    """The port in `-port 8080`, `--port=8080`, `-b 0.0.0.0:8080`, or a lone number such as `productpage.py 9080`."""
    for option, value in itertools.zip_longest(args, args[1:], fillvalue=""):
        if _PORT_OPTION.match(option):
            named = option.partition("=")[2] or value
            return match[1] if (match := re.search(r"(?:^|:)([0-9]+)$", named)) else None
    return args[-1] if args and re.fullmatch(r"[0-9]{2,5}", args[-1]) else None
