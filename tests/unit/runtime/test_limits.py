"""What the kernel lets a process have."""

import resource
import subprocess
import sys


def test_open_files_are_as_many_as_the_user_may_have() -> None:
    """A process started with few gets all of them."""
    code = (
        "import resource; from lateen.runtime.limits import allow_open_files as a; a(); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = ["prlimit", f"--nofile=64:{most}", sys.executable, "-c", code]
    assert subprocess.run(few, capture_output=True, text=True, timeout=20, check=True).stdout.split() == [str(most)] * 2
