"""Makes caches in forks of itself, and kills them at a publish step when asked to.

Started with the URI of an ingest artifact; reads a line of JSON {uri, kill_at} per cache and
answers with one: {status, steps}. Step 0 is the first; a `kill_at` of null counts them.
"""

import json
import os
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import aiobotocore.session  # noqa: F401 - here once, and not in every fork
import s3fs  # noqa: F401
import torch

from aura_core.artifacts import store
from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.run import TeacherCacheConfig
from aura_core.models.teachers import load_teacher
from aura_core.teacher_cache import build

CPU = torch.device("cpu")

CONFIG = TeacherCacheConfig(shard_utterances=4, precision="fp32", dtype="int8", layers=(2, 4))


def main() -> None:
    ingest_uri = sys.argv[1]
    torch.set_num_threads(1)
    teacher = load_teacher(CONFIG.teacher, CPU)
    with tempfile.TemporaryDirectory() as folder:
        # What is slow the first time is then not so in every fork.
        make(teacher, ingest_uri, folder)
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            steps = watch_steps(request["kill_at"])
            make(teacher, ingest_uri, request["uri"])
            os.write(writing, str(len(steps)).encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        steps = os.read(reading, 100).decode()
        os.close(reading)
        print(json.dumps({"status": status, "steps": int(steps or -1)}), flush=True)


def make(teacher, ingest_uri: str, uri: str) -> None:
    publish_manifest(
        uri, build.make_cache(teacher, ingest_uri, uri, CONFIG), stage="teacher_cache",
        stage_version=3, fingerprint="0" * 64, identity={}, inputs={}, provenance={},
    )  # fmt: skip


def watch_steps(kill_at: int | None) -> list[str]:
    """Count the steps that change files, each where it begins: there the last one has ended."""
    steps: list[str] = []
    watched = [
        (Path, "write_bytes"), (os, "fsync"), (build, "_verified"), (Path, "replace"),
        (store, "publish"),
    ]  # fmt: skip
    for owner, name in watched:
        setattr(owner, name, _Watched(getattr(owner, name), name, steps, kill_at))
    return steps


class _Watched:
    def __init__(self, function, name, steps, kill_at) -> None:
        self._function, self._name, self._steps, self._kill_at = function, name, steps, kill_at

    def __get__(self, instance, owner):
        return partial(self, instance) if instance is not None else self

    def __call__(self, *arguments, **options):
        if len(self._steps) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._steps.append(self._name)
        return self._function(*arguments, **options)


if __name__ == "__main__":
    main()
