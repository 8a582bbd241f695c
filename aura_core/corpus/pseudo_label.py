"""Transcripts by the teacher's own ASR, for audio that has none."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from whisper.decoding import DecodingOptions, DecodingResult, decode
from whisper.model import Whisper

from aura_core.models.whisper_encoder import padded_log_mel


@dataclass(frozen=True)
class PseudoLabel:
    """What was heard, the mean log-probability of its tokens, and whether it was speech at all."""

    text: str
    avg_logprob: float
    no_speech_prob: float


@torch.inference_mode()
def transcribe(model: Whisper, audio: NDArray[np.float32]) -> PseudoLabel:
    """Decode one clip greedily, in English.

    Args:
        model: Whisper in float32.
        audio: float32 [samples] at 16 kHz, up to 30 s.
    """
    mel = padded_log_mel(audio, model.dims.n_mels).T.to(model.device)
    options = DecodingOptions(language="en", without_timestamps=True, fp16=False)
    result = decode(model, mel, options)
    assert isinstance(result, DecodingResult)
    return PseudoLabel(result.text.strip(), float(result.avg_logprob), float(result.no_speech_prob))
