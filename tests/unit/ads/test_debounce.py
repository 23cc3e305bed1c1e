"""When a batch of changes is taken."""

from lateen.ads.debounce import Debounce


def test_acts_after_the_quiet_time() -> None:
    """100 ms after the last change."""
    debounce = Debounce()
    debounce.changed(10.0)
    debounce.changed(10.05)
    assert debounce.due() == 10.05 + 0.1


def test_acts_at_the_longest_wait_when_changes_never_stop() -> None:
    """10 s after the first change, however many follow."""
    debounce = Debounce()
    for tenth in range(200):
        debounce.changed(tenth * 0.09)
    assert debounce.due() == 10.0


def test_nothing_is_due_after_the_batch_was_taken() -> None:
    """A taken batch leaves nothing to do."""
    debounce = Debounce()
    debounce.changed(1.0)
    debounce.acted()
    assert debounce.due() is None
