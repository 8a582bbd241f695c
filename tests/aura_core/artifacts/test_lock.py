"""Two processes and one artifact."""

import subprocess
import sys

import pytest

from aura_core.artifacts.lock import only_maker

HOLDER = """
import sys
from aura_core.artifacts.lock import only_maker
with only_maker(sys.argv[1], lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(monkeypatch, tmp_path):
    """Start a process that holds the lock of an artifact until it is killed."""
    monkeypatch.setenv("AURA_CACHE", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "s3://lab/distil/abc"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_who_comes_second_says_so_and_waits_for_the_end_of_the_first(holder):
    waited = []

    def end_the_first():
        waited.append(holder.poll())
        holder.kill()

    with only_maker("s3://lab/distil/abc", end_the_first):
        assert holder.wait() != 0
    assert waited == [None], "it was alive when we began to wait"


def test_another_artifact_is_not_waited_for(holder):
    with only_maker("s3://lab/distil/abd", lambda: pytest.fail("waited")):
        assert holder.poll() is None
