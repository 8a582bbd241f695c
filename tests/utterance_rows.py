"""Rows of the utterance table, for tests that need a corpus and care for few of its columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aura_core.ingest.utterances import encode_audio

_SILENCE = np.zeros(1600, dtype=np.float32)


def utterance_row(
    id_: str, audio: NDArray[np.float32] = _SILENCE, **columns: Any
) -> dict[str, Any]:
    """Return a row of float32 [samples] at 16 kHz; `columns` replace what stands for the rest."""
    flac, digest = encode_audio(audio)
    return {
        "id": id_, "text": "hello", "instruction": None, "response": None, "speaker": None,
        "split": "train", "family": None, "duration_s": len(audio) / 16_000,
        "source_sample_rate": 16_000, "avg_logprob": None,
        "audio": {"bytes": flac, "path": f"{id_}.flac"}, "digest": digest, **columns,
    }  # fmt: skip
