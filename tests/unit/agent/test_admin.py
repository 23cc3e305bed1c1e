"""When an Envoy counts as ready."""

import pytest

from lateen.agent.admin import read_readiness

READY = """cluster_manager.cds.update_success: 2
listener_manager.lds.update_success: 1
listener_manager.workers_started: 1
server.state: 0
"""


def test_ready_with_configuration_live_and_workers() -> None:
    """All of Istio's conditions hold."""
    assert read_readiness(READY).obstacle == ""


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        (
            ("cds.update_success: 2", "cds.update_rejected: 1"),
            "cds updates: 0 successful, 1 rejected; lds updates: 1 successful, 0 rejected",
        ),
        (("listener_manager.lds.update_success: 1\n", ""), "lds updates: 0 successful"),
        (("server.state: 0", "server.state: 1"), "server is not live, current state is: DRAINING"),
        (("server.state: 0", ""), "current state is: unknown"),
        (("workers_started: 1", "workers_started: 0"), "workers have not yet started"),
    ],
)
def test_each_missing_condition_is_named(change: tuple[str, str], obstacle: str) -> None:
    """In Istio's words, so that people find what they know."""
    assert obstacle in read_readiness(READY.replace(*change)).obstacle


def test_noise_is_no_answer() -> None:
    """An admin interface that says nothing we know is not ready."""
    assert read_readiness("hello\nserver.state: x").obstacle
