"""The ASR of the cascade: Whisper as it is commonly run, greedy over 30 s windows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, decode
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from aura_core.device import compute_dtype

BATCH_WINDOWS = 8
_MARKS = frozenset(".,?!;:-")
_NUMERALS = frozenset("0123456789%$£€")


@dataclass(frozen=True)
class Spelling:
    """How a corpus writes its transcripts; the cascade's LLM is trained on them.

    A cascade whose ASR writes `20 %.` for an LLM that knows `twenty percent` would
    lose for a reason that has nothing to do with hearing.
    """

    plain: bool  # lower case, no punctuation
    numbers_in_words: bool

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Spelling":
        """The spelling that all the texts keep to."""
        plain = numbers_in_words = True
        for text in texts:
            plain &= text == text.lower() and not _MARKS & set(text)
            numbers_in_words &= not _NUMERALS & set(text)
        return cls(plain, numbers_in_words)

    def apply(self, transcript: str) -> str:
        """Bring case and punctuation of an ASR's transcript to the corpus' form."""
        text = " ".join(transcript.split())
        if not self.plain:
            return text
        unmarked = "".join(c for c in text.lower().replace("-", " ") if c not in _MARKS)
        return " ".join(unmarked.split())


class Transcriber:
    """A Whisper model, on the device where it is, that keeps to a spelling."""

    def __init__(self, model: Whisper, spelling: Spelling) -> None:
        self.model = model
        self.spelling = spelling

    def transcribe(self, audios: Sequence[NDArray[np.float32]]) -> list[str]:
        """Transcribe clips, float32 [samples] at 16 kHz, of at most 30 s each."""
        texts: list[str] = []
        for start in range(0, len(audios), BATCH_WINDOWS):
            batch = audios[start : start + BATCH_WINDOWS]
            # One by one: Whisper scales a log-mel by the loudest frame of all it is given.
            mels = [log_mel_spectrogram(pad_or_trim(a), self.model.dims.n_mels) for a in batch]
            heard = self._encoded(torch.stack(mels).to(self.model.device))
            results = decode(self.model, heard, self._options)
            texts += [self.spelling.apply(result.text) for result in results]
        return texts

    @torch.inference_mode()
    def _encoded(self, mel: Tensor) -> Tensor:
        """The encoder's states of [batch, mels, frames], in bf16 where the LLM has it, too.

        A cascade is not compared in a slower precision than what it is compared with. The decoder,
        which takes a small part of the time, stays in fp32.
        """
        device = mel.device
        bf16 = compute_dtype("auto", device) == torch.bfloat16
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states: Tensor = self.model.embed_audio(mel)
        return states.float()

    @cached_property
    def _options(self) -> DecodingOptions:
        # -1 stands for Whisper's usual list; without numerals it writes numbers in words.
        suppressed = [-1, *(self._numeral_tokens() if self.spelling.numbers_in_words else [])]
        return DecodingOptions(
            language=None if self.model.is_multilingual else "en",
            temperature=0,
            without_timestamps=True,
            suppress_tokens=suppressed,
            fp16=False,
        )

    def _numeral_tokens(self) -> list[int]:
        tokenizer = get_tokenizer(
            self.model.is_multilingual, num_languages=self.model.num_languages
        )
        return [i for i in range(tokenizer.eot) if _NUMERALS & set(tokenizer.decode([i]))]
