"""The pause of the cycle collector ends, whatever happens inside."""

import gc

import pytest

from lateen.util import collector


def test_the_collector_runs_again_after_the_pause() -> None:
    """Also after an exception, and only after the outer one of two pauses."""
    assert gc.isenabled()
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collector.paused():
        raise KeyError
    assert gc.isenabled()
