import numpy as np
import pytest

from aura_core.errors import AuraError
from aura_core.ingest import utterances


def row(number, split="train"):
    audio = np.random.default_rng(number).uniform(-0.5, 0.5, 1600).astype("f4")
    flac, digest = utterances.encode_audio(audio)
    return utterances.Utterance(
        id=f"u{number}", text="hello", instruction=None, response=None, speaker=None, split=split,
        family=None, duration_s=0.1, source_sample_rate=8000, avg_logprob=None,
        audio={"bytes": flac, "path": f"u{number}.flac"}, digest=digest,
    )  # fmt: skip


def test_rows_come_back_in_order_over_parts(tmp_path):
    rows = [
        row(i % 3) | {"id": f"u{i}", "split": "test" if i % 5 else "train"} for i in range(1001)
    ]
    parts = utterances.write_table(str(tmp_path), rows)
    assert parts == ["utterances/part-00000.parquet", "utterances/part-00001.parquet"]
    assert utterances.read_table(str(tmp_path)).to_pylist() == rows
    train = utterances.read_table(str(tmp_path), columns=["id"], splits=["train"])
    assert train["id"].to_pylist() == [f"u{i}" for i in range(0, 1001, 5)]
    assert train.column_names == ["id"]


def test_same_rows_same_bytes(tmp_path):
    for name in "ab":
        utterances.write_table(str(tmp_path / name), [row(0), row(1)])
    first, second = (tmp_path / name / utterances.part_path(0) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_audio_survives_to_16_bits():
    audio = np.array([0.0, 0.5, -0.5, 1.0, -1.0, 2.0], dtype="f4")
    flac, digest = utterances.encode_audio(audio)
    np.testing.assert_allclose(utterances.decode_audio(flac), np.clip(audio, -1, 1), atol=1e-4)
    assert utterances.decode_audio(flac).dtype == np.float32
    assert digest != utterances.encode_audio(audio * 0.9)[1]


def test_empty_table_has_the_schema(tmp_path):
    utterances.write_table(str(tmp_path), [])
    assert utterances.read_table(str(tmp_path)).schema.names == utterances.UTTERANCE_SCHEMA.names


def test_missing_table_is_an_error(tmp_path):
    with pytest.raises(AuraError, match="no utterance table"):
        utterances.read_table(str(tmp_path))
