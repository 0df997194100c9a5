"""A process takes the descriptors that it may have, and says where they do not reach."""

import subprocess
import sys

_ASK = """
import resource
from headroom.descriptors import allow_sockets
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
allow_sockets({chargers})
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def asked(hard: int, chargers: int) -> str:
    """What a process says that may have `hard` of them, and has 256."""
    code = _ASK.format(hard=hard, chargers=chargers)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_all_that_may_be_had_is_taken_and_too_few_are_told() -> None:
    said = asked(1000, 400)
    assert said.strip().endswith("1000")
    assert "few_open_files" not in said
    said = asked(1000, 401)
    assert "few_open_files" in said
    assert "carries=400" in said
