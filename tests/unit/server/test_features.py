"""Switches of the control plane that are environment variables."""

import pytest

from lateen.server.features import read_settings


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("1", True), ("T", True), ("false", False), ("", False), ("yes", False)])
def test_http3_is_switched_on_by_istios_variable(value: str, expected: bool) -> None:  # noqa: FBT001 - a column
    """As Go reads truth; off where it is not said."""
    assert read_settings({"PILOT_ENABLE_QUIC_LISTENERS": value}).quic == expected
    assert not read_settings({}).quic


def test_filtered_clusters_are_switched_on_by_istios_variable() -> None:
    """A switch of its own."""
    assert read_settings({"PILOT_FILTER_GATEWAY_CLUSTER_CONFIG": "TRUE"}).reached_only
    assert not read_settings({"PILOT_ENABLE_QUIC_LISTENERS": "true"}).reached_only


@pytest.mark.parametrize(("value", "rate"), [("2.5", 2.5), ("0", 0), ("-1", 0), ("many", 0), ("inf", 0), ("nan", 0)])
def test_new_streams_per_second(value: str, rate: float) -> None:
    """A number above zero counts."""
    assert read_settings({"PILOT_MAX_REQUESTS_PER_SECOND": value}).streams_per_second == rate
