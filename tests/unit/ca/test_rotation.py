"""When certificates are replaced."""

import pytest

from lateen.ca.rotation import retry_delay, rotate_in


@pytest.mark.parametrize(("jitter", "at"), [(0.0, 500.0), (1.0, 510.0), (-1.0, 490.0), (7.0, 510.0)])
def test_rotation_is_due_at_half_life(jitter: float, at: float) -> None:
    """Half of the life, give or take a hundredth of it."""
    assert rotate_in(issued=1000, expires=2000, now=1000, jitter=jitter) == pytest.approx(at)


def test_overdue_rotation_is_due_now() -> None:
    """A machine that slept through it does not wait longer."""
    assert rotate_in(issued=1000, expires=2000, now=5000, jitter=0) == 0


def test_failed_tries_wait_twice_as_long_up_to_half_a_minute() -> None:
    """50 ms, 100 ms, ... 30 s, and no overflow after a day of failures."""
    assert [retry_delay(n) for n in (1, 2, 3)] == [0.05, 0.1, 0.2]
    assert retry_delay(20) == retry_delay(100_000) == 30.0
