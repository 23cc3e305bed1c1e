"""A pod's phase and conditions, from its containers' states."""

from typing import Any

import pytest
from msgspec import Struct

from lateen.kube.podstatus import pod_ready, pod_status
from lateen.local.containers import Ended, Waiting
from lateen.local.podstatus import PodView, build_status


class One(Struct, kw_only=True):
    """A container."""

    name: str = "main"
    image: str = "x"
    state: Waiting | Ended | None = None
    last: Ended | None = None
    started_at: float = 0.0
    ready: bool = False
    started: bool = False
    restarts: int = 0


def ended(code: int) -> Ended:
    """A run that has ended."""
    return Ended(code=code, reason="Completed" if not code else "Error", started=0.0, finished=1.0)


def status(*containers: One, policy: str = "Always", init: tuple[One, ...] = (), initialized: bool = True, before: Any = None) -> Any:
    """The status of a pod with these containers."""
    view = PodView(
        uid="u", restart_policy=policy, address="10.0.0.7", started=0.0, initialized=initialized, init=init, containers=containers
    )
    return build_status(view, before or {}, 100.0)


RUNNING = One(ready=True, started=True, started_at=5.0)


@pytest.mark.parametrize(
    ("containers", "policy", "phase"),
    [
        ((RUNNING,), "Always", "Running"),
        ((One(state=Waiting("ContainerCreating")),), "Always", "Pending"),
        ((RUNNING, One(state=Waiting("ErrImagePull"))), "Always", "Pending"),
        ((One(state=Waiting("CrashLoopBackOff"), last=ended(1)),), "Always", "Running"),
        ((One(state=ended(0)),), "Always", "Running"),
        ((One(state=ended(0)), One(state=ended(0))), "OnFailure", "Succeeded"),
        ((One(state=ended(0)), One(state=ended(2))), "Never", "Failed"),
        ((One(state=ended(0)), RUNNING), "Never", "Running"),
    ],
)
def test_phase_follows_from_the_containers(containers: tuple[One, ...], policy: str, phase: str) -> None:
    """Kubernetes' rules of a pod's phase."""
    assert status(*containers, policy=policy)["phase"] == phase


def test_failed_init_container_fails_a_pod_that_never_restarts() -> None:
    """A pod whose preparation failed for good has failed."""
    waiting = One(state=Waiting("PodInitializing"))
    assert status(waiting, init=(One(state=ended(1)),), initialized=False, policy="Never")["phase"] == "Failed"
    assert status(waiting, init=(One(state=ended(1)),), initialized=False)["phase"] == "Pending"


def test_pod_is_ready_when_all_containers_are() -> None:
    """Ready names the containers that are not; kubectl's columns agree."""

    def ready(found: Any) -> Any:
        return next(each for each in found["conditions"] if each["type"] == "Ready")

    whole = status(RUNNING, One(name="side", ready=True, started_at=5.0))
    assert ready(whole)["status"] == "True"
    half = status(RUNNING, One(name="side", started_at=5.0))
    assert ready(half)["status"] == "False"
    assert ready(half)["message"] == "containers with unready status: [side]"
    spec = {"containers": [{"name": "main"}, {"name": "side"}]}
    assert pod_ready({"spec": spec, "status": half}) == "1/2"
    assert pod_status({"spec": spec, "status": half}) == "Running"


def test_unchanged_conditions_keep_their_time() -> None:
    """A condition's time is that of its last change."""
    before = status(RUNNING)
    old = "2020-01-01T00:00:00Z"
    for each in before["conditions"]:
        each["lastTransitionTime"] = old
    after = {each["type"]: each["lastTransitionTime"] for each in status(One(started_at=5.0), before=before)["conditions"]}
    assert after["PodScheduled"] == old
    assert after["Ready"] != old
