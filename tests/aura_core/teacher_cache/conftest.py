"""A small ingest artifact of real neural speech, and the cache made of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soxr
import torch
from piper import PiperVoice, SynthesisConfig

from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.run import TeacherCacheConfig
from aura_core.ingest.utterances import encode_audio, write_table
from aura_core.models.pinned import locate
from aura_core.models.teachers import load_teacher
from aura_core.teacher_cache import build
from aura_core.teacher_cache.codec import fit_codec
from aura_core.teacher_cache.encode import batches, encode, num_frames, teacher_states

CPU = torch.device("cpu")

SENTENCES = (
    "Turn it off.",
    "Set a timer for ten minutes.",
    "Please turn on the lamp in the kitchen.",
    "She opened the window because the room was too warm.",
)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def teacher():
    return load_teacher("pinned:whisper-tiny.en", CPU)


@pytest.fixture(scope="session")
def rows() -> list[dict]:
    """Eight training utterances and a held-out one, each as a row of the table."""
    voice = PiperVoice.load(str(locate("joe-medium")))
    result = []
    for i in range(9):
        text = SENTENCES[i % 4]
        style = SynthesisConfig(noise_scale=0, noise_w_scale=0, length_scale=0.8 + 0.1 * (i // 4))
        chunks = list(voice.synthesize(text, style))
        spoken = np.concatenate([chunk.audio_float_array for chunk in chunks])
        audio = soxr.resample(spoken, chunks[0].sample_rate, 16_000).astype(np.float32)
        flac, digest = encode_audio(audio)
        result.append(
            {
                "id": f"clip/{i}.wav" if i == 3 else f"clip-{i}",
                "text": text,
                "instruction": "What is wanted?" if i % 2 else None,
                "response": f"Wünsche; n={i}" if i % 2 else None,
                "speaker": "joe",
                "split": "heldout" if i == 8 else "train",
                "family": None,
                "duration_s": len(audio) / 16_000,
                "source_sample_rate": 22_050,
                "avg_logprob": None,
                "audio": {"bytes": flac, "path": f"{i}.flac"},
                "digest": digest,
            }
        )
    return result


@pytest.fixture(scope="session")
def ingest_uri(rows, tmp_path_factory) -> str:
    uri = str(tmp_path_factory.mktemp("ingest"))
    write_table(uri, rows)
    return uri


@pytest.fixture(scope="session")
def config() -> TeacherCacheConfig:
    return TeacherCacheConfig(shard_utterances=3, rate_hz=50, dtype="float16", precision="fp32")


@pytest.fixture(scope="session")
def encode_clips(teacher):
    """Encode rows with a codec fitted on these very rows."""

    def encode_fitted(rows, **settings):
        config = TeacherCacheConfig(**settings)
        sample = [
            (dict(teacher_states(teacher, clips, config)), num_frames(clips))
            for clips in batches(teacher, rows, config)
        ]
        codec = fit_codec(sample, config)
        return codec, list(encode(teacher, codec, rows, config))

    return encode_fitted


@pytest.fixture(scope="session")
def make_cache(teacher, ingest_uri, config):
    """Make a finished cache at a URI, in this process."""

    def make(uri: str) -> str:
        publish_manifest(
            uri, build.make_cache(teacher, ingest_uri, uri, config), stage="teacher_cache",
            stage_version=1, fingerprint="0" * 64, identity={}, inputs={}, provenance={},
        )  # fmt: skip
        return uri

    return make


@pytest.fixture(scope="session")
def cache_folder(make_cache, tmp_path_factory) -> Path:
    """A finished cache; tests only read it."""
    folder = tmp_path_factory.mktemp("cache")
    make_cache(str(folder))
    return folder


@pytest.fixture
def copied(cache_folder, tmp_path) -> Path:
    """A finished cache of the test's own."""
    folder = tmp_path / "cache"
    shutil.copytree(cache_folder, folder)
    return folder


def tar_paths(folder: Path) -> list[str]:
    """Paths of a cache's tars below it, in the order of the plan."""
    return [tar["path"] for tar in json.loads((folder / "shards.json").read_text())["tars"]]
