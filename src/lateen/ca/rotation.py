"""When a certificate is replaced, and how long to wait after a failed try. Decides; does not sleep, has no clock and no dice."""

__all__ = ["retry_delay", "rotate_in"]

_FRACTION = 0.5  # of the life, as Istio's SECRET_GRACE_PERIOD_RATIO
_JITTER = 0.01  # likewise SECRET_GRACE_PERIOD_RATIO_JITTER
_FIRST_RETRY = 0.05
_LAST_RETRY = 30.0


def rotate_in(*, issued: float, expires: float, now: float, jitter: float) -> float:
    """Seconds from `now` until the certificate is to be replaced: at half its life, `jitter` (-1 to 1) spreads a fleet by a hundredth."""
    due = issued + (expires - issued) * (_FRACTION + _JITTER * max(-1.0, min(1.0, jitter)))
    return max(0.0, due - now)


def retry_delay(failures: int) -> float:
    """Seconds to wait after `failures` tries in a row: doubling from 50 ms up to half a minute."""
    return float(min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(failures - 1, 16)))
