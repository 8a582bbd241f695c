import jiwer
import numpy as np
import pytest
import soundfile
from whisper.normalizers import EnglishTextNormalizer

from aura_core.config import IngestConfig
from aura_core.corpus.grammar import DemoUtterance, Sentence
from aura_core.corpus.ingest import make_part, rejections_path
from aura_core.corpus.ingest_plan import plan_ingest
from aura_core.corpus.rejections import read_rejections
from aura_core.corpus.synthesis import Synthesizer
from aura_core.corpus.table import read_table
from aura_core.corpus.voice import VOICE, second_voice
from aura_core.models.pinned import locate
from aura_core.models.references import parse

TEXT = "please tell my friend that dinner is ready at the station"


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A folder with one spoken sentence and no transcript."""
    folder = tmp_path_factory.mktemp("speech")
    config = IngestConfig().demo
    synthesizer = Synthesizer(locate(parse(VOICE).name), second_voice(), config, seed="0")
    row = synthesizer.speak(DemoUtterance("a", "train", Sentence("say", TEXT, (), TEXT)))
    (folder / "a.flac").write_bytes(row["audio"]["bytes"])
    return folder


def test_transcript_is_written_by_the_asr(speech, tmp_path):
    config = IngestConfig(manifest=str(speech), pseudo_label=True)
    [part] = plan_ingest(config).parts
    make_part(str(tmp_path), part, config, second_voice=None)
    [row] = read_table(str(tmp_path)).to_pylist()
    normalise = EnglishTextNormalizer()
    assert jiwer.wer(normalise(TEXT), normalise(row["text"])) < 0.2
    assert -1 < row["avg_logprob"] < 0


def test_silence_is_not_taken_for_the_word_whisper_hears_in_it(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    config = IngestConfig(manifest=str(tmp_path), pseudo_label=True)
    [part] = plan_ingest(config).parts
    assert make_part(str(tmp_path / "out"), part, config, second_voice=None) == 0
    [rejection] = read_rejections(str(tmp_path / "out" / rejections_path(part.number)))
    assert rejection.kind == "empty pseudo-label"
