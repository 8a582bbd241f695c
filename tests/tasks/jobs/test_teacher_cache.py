"""The driver on real Ray: killed in the middle, run again, the same bytes as without Ray."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from piper import PiperVoice, SynthesisConfig

from aura_core.artifacts import store
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.stage import Runtime
from aura_core.ingest.utterances import encode_audio, write_table
from aura_core.models.pinned import locate
from aura_core.models.teachers import load_teacher
from aura_core.stages import StageSpec
from aura_core.teacher_cache import build
from aura_core.teacher_cache.index import open_cache

CPU = torch.device("cpu")

NUM_CLIPS = 40
CONFIG = TeacherCacheConfig(shard_utterances=1, runtime=Runtime(workers=2))


@pytest.fixture(scope="module")
def ingest_uri(tmp_path_factory) -> str:
    voice = PiperVoice.load(str(locate("joe-medium")))
    chunks = list(
        voice.synthesize(
            "Please turn on the lamp in the kitchen.",
            SynthesisConfig(noise_scale=0, noise_w_scale=0),
        )
    )
    spoken = np.concatenate([chunk.audio_float_array for chunk in chunks])
    audio = soxr.resample(spoken, chunks[0].sample_rate, 16_000).astype(np.float32)
    uri = str(tmp_path_factory.mktemp("ingest"))
    write_table(uri, [row(i, audio[: 16_000 + 400 * i]) for i in range(NUM_CLIPS)])
    return uri


def row(number: int, audio: np.ndarray) -> dict:
    flac, digest = encode_audio(audio)
    return {
        "id": f"clip-{number}", "text": "please turn on the lamp", "instruction": None,
        "response": None, "speaker": None, "split": "train", "family": None,
        "duration_s": len(audio) / 16_000, "source_sample_rate": 22_050, "avg_logprob": None,
        "audio": {"bytes": flac, "path": f"{number}.flac"}, "digest": digest,
    }  # fmt: skip


def write_spec(uri: str, ingest_uri: str) -> str:
    spec = StageSpec(
        name="teacher_cache",
        stage="teacher_cache",
        stage_version=1,
        fingerprint="a" * 64,
        uri=uri,
        root=uri,
        identity={**CONFIG.identity(), "pinned": {}},
        inputs={"ingest": ingest_uri},
        input_fingerprints={},
        runtime=CONFIG.runtime,
    )
    store.write_text(spec.spec_uri, spec.model_dump_json())
    return spec.spec_uri


def start(spec_uri: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tasks.jobs.teacher_cache", "--spec", spec_uri]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def records(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("shards/*.json")}


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path, ingest_uri):
    folder = tmp_path / "killed"
    spec_uri = write_spec(str(folder), ingest_uri)
    first = start(spec_uri)
    wait_for(lambda: len(records(folder)) >= 3, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(2)  # Ray's processes end with their driver.
    finished = records(folder)
    assert 3 <= len(finished) < NUM_CLIPS
    assert not (folder / "manifest.json").exists()
    tars = {name: next(folder.glob(f"shards/{name}-*.tar")) for name in finished}
    written_ns = {name: path.stat().st_mtime_ns for name, path in tars.items()}

    second = start(spec_uri)
    _, stderr = second.communicate(timeout=120)
    assert second.returncode == 0, stderr
    assert "teacher cache: 100%" in stderr
    assert {name: path.stat().st_mtime_ns for name, path in tars.items()} == written_ns
    assert len(open_cache(str(folder))) == NUM_CLIPS
    assert_same_as_without_ray(folder, ingest_uri, tmp_path / "plain")


def test_a_worker_killed_in_mid_shard_is_replaced(tmp_path, ingest_uri):
    folder = tmp_path / "killed"
    process = start(write_spec(str(folder), ingest_uri))
    wait_for(lambda: len(records(folder)) >= 3, process)
    killed = [pid for pid in descendants(process.pid) if "ray::Encoder.build" in title(pid)]
    os.kill(killed[0], signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert_same_as_without_ray(folder, ingest_uri, tmp_path / "plain")


def wait_for(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def descendants(pid: int) -> list[int]:
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def assert_same_as_without_ray(folder: Path, ingest_uri: str, plain: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    teacher = load_teacher(CONFIG.teacher, CPU)
    build.make_cache(teacher, ingest_uri, str(plain), CONFIG)
    torch.set_num_threads(threads)
    expected = {p.relative_to(plain): p.read_bytes() for p in plain.rglob("*") if p.is_file()}
    for path, data in expected.items():
        assert (folder / path).read_bytes() == data, path
