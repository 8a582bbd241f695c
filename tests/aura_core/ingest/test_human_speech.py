import gzip
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
import torch
from whisper.normalizers import EnglishTextNormalizer

from aura_core.config.run import DemoCorpusConfig, IngestConfig
from aura_core.errors import AuraError
from aura_core.ingest import source
from aura_core.ingest.audio import decode_file
from aura_core.ingest.ingest import transcribe
from aura_core.ingest.ingest_plan import plan_ingest
from aura_core.ingest.source import human_digest, human_items, is_installed
from aura_core.models.whisper_encoder import load_whisper

needs_prompts = pytest.mark.skipif(
    not is_installed(), reason="no asterisk-core-sounds-en(-wav) on this machine"
)
PROMPTS = {
    "open": (2.0, "The door is  open."),
    "sub/again": (3.0, "Please don't, try again!"),
    "again-twin": (3.0, "Please don't, try again!"),
    "short": (1.0, "This is short."),
    "long": (9.0, "This is much too long."),
    "few": (2.0, "Two words."),
    "digit": (2.0, "Press 5 to leave."),
    "half": (2.0, "The caller was..."),
    "note": (2.0, "Leave a message (tone)"),
    "acronym": (2.0, "the USB radio is on"),
}


@pytest.fixture
def prompts(tmp_path, monkeypatch):
    monkeypatch.setenv("AURA_CACHE", str(tmp_path / "cache"))
    sounds, transcripts = tmp_path / "sounds", tmp_path / "list.txt.gz"
    (sounds / "sub").mkdir(parents=True)
    for name, (duration_s, _) in PROMPTS.items():
        audio = 0.1 * np.ones(round(8000 * duration_s))
        soundfile.write(sounds / f"{name}.wav", audio, 8000, subtype="PCM_16")
    lines = ["; a comment", "", *(f"{name}: {text}" for name, (_, text) in PROMPTS.items())]
    transcripts.write_bytes(gzip.compress("\n".join([*lines, "gone: It has no sound."]).encode()))
    monkeypatch.setattr(source, "SOUNDS", sounds)
    monkeypatch.setattr(source, "TRANSCRIPTS", transcripts)
    return sounds


def test_only_sentences_of_fitting_length_are_taken(prompts):
    found = {item.text: (item.split, item.response) for item in human_items(10)}
    assert found == dict.fromkeys(
        ("The door is open.", "Please don't, try again!"), ("human", None)
    )
    assert len(human_items(1)) == 1
    assert len({item.id for item in human_items(10)}) == 2


def test_texts_and_sounds_count(prompts):
    before = human_digest(10)
    assert before == human_digest(10)
    assert human_digest(1) != before
    soundfile.write(prompts / "open.wav", 0.2 * np.ones(16_000), 8000, subtype="PCM_16")
    assert human_digest(10) not in (None, before)
    assert human_digest(0) is None


def test_without_the_packages_there_is_no_split(prompts, monkeypatch):
    monkeypatch.setattr(source, "SOUNDS", prompts / "nowhere")
    assert human_digest(10) is None
    with pytest.raises(AuraError, match="apt-get install asterisk-core-sounds-en"):
        human_items(10)


def test_the_split_comes_last_and_within_the_limit(prompts):
    small = DemoCorpusConfig(
        train_utterances=130, heldout_utterances=4, phrasing_utterances=4, voice_utterances=4
    )
    parts = plan_ingest(IngestConfig(demo=small), human=True).parts
    assert [(part.number, len(part.sentences), len(part.items)) for part in parts] == [
        (0, 128, 0), (1, 14, 0), (2, 0, 2),
    ]  # fmt: skip
    assert parts[2].splits == {"human": 2}
    assert len(plan_ingest(IngestConfig(demo=small)).parts) == 2
    limited = plan_ingest(IngestConfig(demo=small, limit=143), human=True)
    assert [len(part) for part in limited.parts] == [128, 14, 1]
    assert len(plan_ingest(IngestConfig(demo=small, limit=9), human=True).parts) == 1


@needs_prompts
def test_the_prompts_say_what_the_list_says():
    items = human_items(60)
    assert len(items) == 60
    normalise = EnglishTextNormalizer()
    model = load_whisper("pinned:whisper-tiny.en", torch.device("cpu"))
    said, heard = [], []
    for item in items[:6]:
        with Path(item.audio_uri).open("rb") as file:
            clip = decode_file(file, 30)
        assert 1.5 <= clip.duration_s <= 8
        said.append(normalise(item.text))
        heard.append(normalise(transcribe(model, clip.audio).text))
    assert jiwer.wer(said, heard) < 0.3
