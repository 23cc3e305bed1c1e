"""The table from images to commands, with Istio's own files."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lateen.api.decode import decode_documents
from lateen.samples.images import Command, repository, resolve

OURS = (sys.executable, "-P", "-m")
MACHINE = {
    "/bin/sleep": "/bin/sleep",
    "sh": "/bin/sh",
    "curl": "/usr/bin/curl",
    "python": "/usr/bin/python",
    "gunicorn": "/usr/bin/gunicorn",
}
BOOKINFO = "registry.istio.io/release/examples-bookinfo-"


def _containers(path: Path) -> Iterator[dict[str, Any]]:
    for decoded in decode_documents(path.read_bytes(), path.name):
        if decoded.raw["kind"] == "Deployment":
            yield from decoded.raw["spec"]["template"]["spec"]["containers"]


def _resolve(container: Mapping[str, Any]) -> Command | None:
    return resolve(container["image"], tuple(container.get("command", ())), tuple(container.get("args", ())), which=MACHINE.get)


@pytest.mark.parametrize(
    ("file", "commands"),
    [
        (
            "bookinfo/platform/kube/bookinfo.yaml",
            [
                ((*OURS, "lateen.samples.details"), {"SERVICE_VERSION": "v1"}),
                ((*OURS, "lateen.samples.ratings"), {"SERVICE_VERSION": "v1"}),
                ((*OURS, "lateen.samples.reviews"), {"SERVICE_VERSION": "v1", "ENABLE_RATINGS": "false"}),
                ((*OURS, "lateen.samples.reviews"), {"SERVICE_VERSION": "v2", "ENABLE_RATINGS": "true", "STAR_COLOR": "black"}),
                ((*OURS, "lateen.samples.reviews"), {"SERVICE_VERSION": "v3", "ENABLE_RATINGS": "true", "STAR_COLOR": "red"}),
                ((*OURS, "lateen.samples.productpage"), {"SERVICE_VERSION": "v1"}),
            ],
        ),
        ("httpbin/httpbin.yaml", [((*OURS, "lateen.samples.httpbin"), {"PORT": "8080"})]),
        ("httpbin/httpbin-nodeport.yaml", [((*OURS, "lateen.samples.httpbin"), {"PORT": "8080"})]),
        ("tcp-echo/tcp-echo.yaml", [((*OURS, "lateen.samples.tcp_echo", "9000,9001,9002", "hello"), {})]),
        (
            "tcp-echo/tcp-echo-services.yaml",
            [((*OURS, "lateen.samples.tcp_echo", "9000,9001,9002", prefix), {}) for prefix in ("one", "two")],
        ),
        *(
            (f"tcp-echo/tcp-echo-{kind}.yaml", [((*OURS, "lateen.samples.tcp_echo", "9000,9001,9002", "hello"), {})])
            for kind in ("ipv4", "ipv6", "dual-stack")
        ),
        ("sleep/sleep.yaml", [(("/bin/sleep", "infinity"), {})]),
        ("curl/curl.yaml", [(("/bin/sleep", "infinity"), {})]),
        ("helloworld/helloworld.yaml", [((*OURS, "lateen.samples.helloworld"), {"SERVICE_VERSION": v}) for v in ("v1", "v2")]),
        ("helloworld/helloworld-dual-stack.yaml", [((*OURS, "lateen.samples.helloworld"), {"SERVICE_VERSION": v}) for v in ("v1", "v2")]),
    ],
)  # fmt: skip
def test_istios_unmodified_files_have_their_commands(shared_cases: Path, file: str, commands: list[Any]) -> None:
    """Every container of the samples' files is known, with what its image sets."""
    assert [_resolve(container) for container in _containers(shared_cases / "samples" / file)] == commands


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("docker.io/istio/examples-helloworld-v1:1.0", "istio/examples-helloworld-v1"),
        ("localhost:5000/a/b@sha256:00ff", "a/b"),
        ("localhost/a:1", "a"),
        ("mccutchen/go-httpbin", "mccutchen/go-httpbin"),
        ("busybox:1.28", "busybox"),
        ("registry.k8s.io/busybox", "busybox"),
    ],
)
def test_registry_tag_and_digest_are_taken_off(image: str, name: str) -> None:
    """What remains is the image's own name."""
    assert repository(image) == name


@pytest.mark.parametrize(
    "image",
    [
        BOOKINFO + "reviews-v2:1.20.3",
        "docker.io/istio/examples-bookinfo-reviews-v2",
        "mirror.example:5000/deep/er/examples-bookinfo-reviews-v2:1.15.0@sha256:ab",
        "examples-bookinfo-reviews-v2",
    ],
)
def test_an_image_is_known_under_any_registry_and_version(image: str) -> None:
    """Mirrors and older releases are the same sample."""
    found = resolve(image)
    assert found is not None
    assert found.argv[-1] == "lateen.samples.reviews"
    assert found.env["STAR_COLOR"] == "black"


def test_details_v2_asks_outside() -> None:
    """The image's environment makes it the version with the external book service."""
    found = resolve(BOOKINFO + "details-v2:1.20.3")
    assert found is not None
    assert found.env["ENABLE_EXTERNAL_BOOK_SERVICE"] == "true"


@pytest.mark.parametrize(
    ("image", "command", "args", "port"),
    [
        ("kong/httpbin", ("gunicorn", "--access-logfile", "-", "-b", "0.0.0.0:8081", "httpbin:app"), (), "8081"),
        ("kong/httpbin", ("pipenv", "run", "gunicorn", "--bind=[::]:8082", "httpbin:app"), (), "8082"),
        ("mccutchen/go-httpbin:v2.15.0", ("/bin/go-httpbin", "-port", "8083"), (), "8083"),
        ("mccutchen/go-httpbin", ("/bin/go-httpbin",), ("-host", "0.0.0.0", "-port=8084"), "8084"),
        ("mccutchen/go-httpbin", (), ("--port", "8085"), "8085"),
        (BOOKINFO + "productpage-v1", ("python3.12", "productpage.py", "9081"), (), "9081"),
        (BOOKINFO + "ratings-v1", ("node", "ratings.js"), ("9082",), "9082"),
    ],
)  # fmt: skip
def test_programs_of_the_image_are_ours_with_their_port(image: str, command: tuple[str, ...], args: tuple[str, ...], port: str) -> None:
    """A command that names what is inside the image is not looked for on the machine, even where that has one of its name."""
    found = resolve(image, command, args, which=MACHINE.get)
    assert found is not None
    assert found.argv[:2] == OURS[:2]
    assert found.argv[-1] == port


def test_python_httpbin_is_on_port_80_without_a_command() -> None:
    """The images of the first httpbin listen on 80."""
    found = resolve("docker.io/kennethreitz/httpbin")
    assert found is not None
    assert found.env == {"PORT": "80"}


def test_tcp_echo_takes_its_arguments_from_command_and_args() -> None:
    """Ports and prefix may stand in either."""
    for command, args in ((("/usr/local/bin/tcp-echo", "9000"), ("x",)), ((), ("9000", "x"))):
        found = resolve("istio/tcp-echo-server:1.3", command, args, which=MACHINE.get)
        assert found is not None
        assert found.argv == (*OURS, "lateen.samples.tcp_echo", "9000", "x")


def test_a_command_of_the_machine_runs_under_any_image() -> None:
    """`sh` and `sleep` need no table, wherever the machine keeps them."""
    script = ("-c", "echo hi")
    assert resolve("busybox:1.28", ("sh",), script, which=MACHINE.get) == (("/bin/sh", *script), {})
    assert resolve("busybox", ("/usr/local/bin/sh", *script), which=MACHINE.get) == (("/bin/sh", *script), {})
    found = resolve(BOOKINFO + "ratings-v1", ("sh",), script, which=MACHINE.get)
    assert found == (("/bin/sh", *script), {"SERVICE_VERSION": "v1"})


def test_curl_images_are_the_machines_curl() -> None:
    """Without a command the image's entry point runs, where the machine has it."""
    assert resolve("curlimages/curl:8.16.0", args=("-s", "http://a"), which=MACHINE.get) == (("/usr/bin/curl", "-s", "http://a"), {})
    assert resolve("governmentpaas/curl-ssl", ("/bin/sleep", "3650d"), which=MACHINE.get) == (("/bin/sleep", "3650d"), {})
    assert resolve("curlimages/curl", which=lambda _: None) is None


@pytest.mark.parametrize(
    ("image", "command"),
    [
        ("nginx:1", ()), ("nginx:1", ("/no/such/program",)), ("auto", ()), ("", ()),
        (BOOKINFO + "mongodb:1.20.3", ()), (BOOKINFO + "reviews-v1", ("/none",)),
    ],
)  # fmt: skip
def test_what_nobody_knows_has_no_command(image: str, command: tuple[str, ...]) -> None:
    """Neither the table nor the machine: None, so that the node can say which image lacks an entry."""
    assert resolve(image, command, which=MACHINE.get) is None


def test_a_users_entry_comes_before_the_table() -> None:
    """By the image as written, or by the end of its name; the container's arguments follow."""
    extra = {"shop/cart": ("/srv/cart", "--local"), "quay.io/x/y:2": ("two",), "kong/httpbin": ("mine",)}
    assert resolve("ghcr.io/me/shop/cart:3", (), ("-v",), extra=extra) == (("/srv/cart", "--local", "-v"), {})
    assert resolve("shop/cart", ("/in/image",), ("-v",), extra=extra, which=MACHINE.get) == (("/srv/cart", "--local", "-v"), {})
    assert resolve("quay.io/x/y:2", extra=extra) == (("two",), {})
    assert resolve("quay.io/x/y:3", extra=extra) is None
    assert resolve("kong/httpbin:1", extra=extra) == (("mine",), {})
    assert resolve("shop/cart", ("/bin/sleep", "1"), extra=extra, which=MACHINE.get) == (("/bin/sleep", "1"), {})
