"""Whose a Kubernetes token is, by the cluster's own word (TokenReview). Only tokens meant for us count. Must not keep tokens."""

from collections.abc import Mapping

import msgspec

from lateen.ca.spiffe import Identity, SpiffeError
from lateen.runtime import log
from lateen.serve.callers import Caller
from lateen.sources.kubeclient import KubeClient

__all__ = ["AUDIENCE", "TokenReviewer", "caller_of"]

AUDIENCE = "istio-ca"
_LONGEST = 16 * 1024  # bytes
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_USER = "system:serviceaccount:"
_POD = "authentication.kubernetes.io/pod-name"
_log = log.get("token-review")


class TokenReviewer:
    """Asks the cluster each time: a token that was revoked is no good a moment later."""

    def __init__(self, client: KubeClient, trust_domain: str) -> None:
        self._client = client
        self._trust_domain = trust_domain

    async def __call__(self, token: str) -> Caller | None:
        """The service account whose token it is, None where it is nobody's or not meant for us."""
        if len(token) > _LONGEST:
            return None
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": [AUDIENCE]}}
        try:
            answer = msgspec.json.decode(await self._client.request("POST", _PATH, body=body))
        except (OSError, ValueError) as error:
            _log.warning("token not reviewed", reason=str(error))
            return None
        status = answer.get("status") if isinstance(answer, dict) else None
        return caller_of(status, self._trust_domain) if isinstance(status, Mapping) else None


def caller_of(status: Mapping[str, object], trust_domain: str) -> Caller | None:
    """What a review's status says."""
    user, audiences = status.get("user"), status.get("audiences")
    name = user.get("username") if isinstance(user, Mapping) else None
    if status.get("authenticated") is not True or not isinstance(name, str) or not name.startswith(_USER):
        return None
    if not isinstance(audiences, list) or AUDIENCE not in audiences:
        return None
    namespace, _, account = name.removeprefix(_USER).partition(":")
    try:
        return Caller(Identity(trust_domain, namespace, account), _pod(user))
    except SpiffeError:
        return None


def _pod(user: object) -> str:
    """The pod that a token is bound to, "" where to none."""
    extra = user.get("extra") if isinstance(user, Mapping) else None
    names = extra.get(_POD) if isinstance(extra, Mapping) else None
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else ""
