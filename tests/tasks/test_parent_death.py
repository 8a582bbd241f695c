"""A parent that is killed takes its child along."""

import subprocess
import sys

import psutil
import pytest

PARENT = """
import subprocess, sys
from tasks.parent_death import ending_with_parent
code = "import time; print(1, flush=True); time.sleep(60)"
command = ending_with_parent([sys.executable, "-c", code])
child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such order")
def test_a_child_ends_with_its_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    parent.wait()
    # Zombies count as gone: whoever inherits the child may not have looked after it yet.
    gone, alive = psutil.wait_procs([child], timeout=20)
    assert gone or alive[0].status() == psutil.STATUS_ZOMBIE
