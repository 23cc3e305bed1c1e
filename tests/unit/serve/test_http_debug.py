"""The monitoring door: who may see what, how much may be asked, and that no secret is shown."""

import asyncio
import base64
from collections.abc import Mapping

import httpx

from lateen.serve.callers import Caller
from lateen.serve.http_debug import PageError, monitoring_app
from lateen.server.tokenreview import caller_of

KEY = "-----BEGIN PRIVATE KEY-----\nMIIsecret\n-----END PRIVATE KEY-----\n"
HELD = base64.b64encode(KEY.encode()).decode()
STRANGER, LOCAL, MAPPED = "10.177.0.9", "127.0.0.1", "::ffff:127.0.0.1"


class Backend:
    """Two pages: one full of secrets, one that is about nobody."""

    pages: Mapping[str, str] = {"config_dump": "A dump", "nobody": "Of a proxy"}

    def metrics(self) -> str:
        return "pilot_services 1\n"

    def ready(self) -> bool:
        return True

    def page(self, name: str, query: Mapping[str, str]) -> object:
        if name == "nobody":
            raise PageError(404, f"{query.get('proxyID')} is not connected")
        inline = {"inlineBytes": HELD}
        return {
            "configs": [
                {"secret": {"name": "gw", "tlsCertificate": {"privateKey": inline, "certificateChain": {"inlineBytes": "Y2VydA=="}}}}
            ],
            "odd": [{"text": KEY}, {"bytes": HELD}, {"password": "hunter2"}],
        }


async def review(token: str) -> Caller | None:
    """What the cluster says of each token."""
    audience = "istio-ca" if token in {"ours", "other-namespace"} else "somebody-else"
    account = "default:app" if token == "other-namespace" else "istio-system:istiod"
    return caller_of(
        {"authenticated": token != "forged", "user": {"username": f"system:serviceaccount:{account}"}, "audiences": [audience]},
        "cluster.local",
    )


def ask(path: str, *, peer: str = LOCAL, token: str = "", method: str = "GET", judged: bool = True, body: bytes = b"") -> httpx.Response:
    """The door's answer to a client at the address `peer`."""

    async def main() -> httpx.Response:
        app = monitoring_app(Backend(), review if judged else None, "istio-system")
        transport = httpx.ASGITransport(app, client=(peer, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://istiod:15014") as client:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            return await client.request(method, path, headers=headers, content=body or None)

    return asyncio.run(main())


def test_anybody_may_read_metrics_version_and_readiness() -> None:
    """As Prometheus and probes do, from anywhere."""
    assert ask("/metrics", peer=STRANGER).text == "pilot_services 1\n"
    assert ask("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
    assert [ask(path, peer=STRANGER).status_code for path in ("/version", "/ready", "/elsewhere")] == [200, 200, 404]


def test_a_strangers_debug_request_is_refused() -> None:
    """Without a token, with a forged one, one for another audience, one of another namespace; the answer says nothing, of no page."""
    for path in ("/debug", "/debug/config_dump", "/debug/list", "/debug/no-such-page"):
        for token in ("", "forged", "other-audience", "other-namespace"):
            refused = ask(path, peer=STRANGER, token=token)
            assert (refused.status_code, refused.content) == (401, b""), (path, token)
    assert ask("/debug/config_dump", peer=STRANGER, token="ours", judged=False).status_code == 401


def test_loopback_and_the_control_planes_own_token_are_let_in() -> None:
    """Loopback in both families' forms; a token of the root namespace made for the control plane."""
    assert [ask("/debug/list", peer=peer).json() for peer in (LOCAL, MAPPED, "::1")] == [["config_dump", "nobody"]] * 3
    assert ask("/debug/list", peer=STRANGER, token="ours").status_code == 200
    assert "/debug/config_dump" in ask("/debug").text


def test_no_page_shows_a_private_key() -> None:
    """Neither in its field nor anywhere else, as text or as bytes; certificates are shown."""
    shown = ask("/debug/config_dump")
    for secret in ("MIIsecret", HELD, "hunter2"):
        assert secret not in shown.text
    certificate = shown.json()["configs"][0]["secret"]["tlsCertificate"]
    assert certificate["certificateChain"]["inlineBytes"] == "Y2VydA=="
    assert base64.b64decode(certificate["privateKey"]["inlineBytes"]) == b"[redacted]"


def test_nothing_is_written_and_little_is_read() -> None:
    """Only GET and HEAD, no body, a short query."""
    assert ask("/debug/list", method="POST").status_code == 405
    assert ask("/debug/list", method="DELETE").status_code == 405
    assert ask("/metrics", peer=STRANGER, body=b"x" * 100).status_code == 413
    assert ask(f"/debug/list?{'x' * 5000}").status_code == 413


def test_a_page_of_a_proxy_that_is_not_connected() -> None:
    """Says so with a status of its own."""
    answer = ask("/debug/nobody?proxyID=web-0")
    assert (answer.status_code, answer.text) == (404, "web-0 is not connected\n")
