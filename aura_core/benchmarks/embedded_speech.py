"""The embedded benchmarks as audio: every text in the conditions its benchmark is heard in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xxhash

from aura_core.benchmarks.embedded_texts import EmbeddedText, texts_of
from aura_core.benchmarks.item import BenchmarkItem
from aura_core.config.voices import PIPER, VOICE
from aura_core.ingest.synthesis import (
    Piper,
    add_noise,
    set_level,
    speak_as,
    trimmed_clip,
)
from aura_core.ingest.utterances import encode_audio
from aura_core.models.pinned import locate
from aura_core.models.references import parse

_PEAK_DB = -3.0


@dataclass(frozen=True)
class Condition:
    """How a text is spoken and heard; `second_voice` is another synthesiser."""

    name: str
    second_voice: bool = False
    length_scale: float = 1.0
    snr_db: int | None = None

    def facts(self, second_voice: str) -> dict[str, Any]:
        """What a result can be cut by."""
        return {
            "condition": self.name,
            "voice": second_voice if self.second_voice else PIPER,
            "snr_db": "clean" if self.snr_db is None else str(self.snr_db),
            "speech_rate": f"{1 / self.length_scale:.2f}",
        }


CLEAN = Condition("clean")
LADDER = (
    CLEAN,
    Condition("noise 20 dB", snr_db=20),
    Condition("noise 10 dB", snr_db=10),
    Condition("noise 0 dB", snr_db=0),
    Condition("slow", length_scale=1.25),
    Condition("fast", length_scale=0.8),
    Condition("second voice", second_voice=True),
)
CONDITIONS: dict[str, tuple[Condition, ...]] = {
    "spoken_transcription": LADDER,
    "spoken_requests": LADDER,
    "spoken_choice": (CLEAN,),
    "spoken_facts": (CLEAN,),
    "spoken_instructions": (CLEAN,),
}


def speak_items(name: str, second_voice: str) -> Iterator[BenchmarkItem]:
    """Speak an embedded benchmark; the same bytes on every run on the same machine.

    Args:
        name: of the benchmark.
        second_voice: who speaks the condition `second voice`, a voice of espeak-ng or flite.
    """
    piper = Piper(locate(parse(VOICE).name), seed=name)
    for text in texts_of(name):
        # Noise is laid over the same clip, so that noise is all that differs.
        spoken: dict[tuple[bool, float], np.ndarray] = {}
        for condition in CONDITIONS[name]:
            way = (condition.second_voice, condition.length_scale)
            if way not in spoken:
                spoken[way] = _speak(piper, second_voice, text.text, condition)
            audio = _heard(spoken[way], text.id, condition.snr_db)
            yield _item(text, condition, audio, second_voice)


def _speak(piper: Piper, second_voice: str, text: str, condition: Condition) -> np.ndarray:
    if condition.second_voice:
        audio, rate = speak_as(second_voice, text)
    else:
        audio, rate = piper.speak(text, condition.length_scale)
    return trimmed_clip(audio, rate)


def _heard(audio: np.ndarray, text_id: str, snr_db: int | None) -> np.ndarray:
    if snr_db is not None:
        draw = np.random.default_rng(xxhash.xxh3_64_intdigest(text_id.encode()))
        audio = add_noise(audio, snr_db, draw)
    return set_level(audio, _PEAK_DB)


def _item(
    text: EmbeddedText, condition: Condition, audio: np.ndarray, second_voice: str
) -> BenchmarkItem:
    flac, _ = encode_audio(audio)
    return BenchmarkItem(
        id=f"{text.id}.{condition.name.replace(' ', '-')}",
        text=text.text,
        prompt_text=text.prompt_text,
        references=text.references,
        audio=flac,
        choices=text.choices,
        extra={**text.extra, **condition.facts(second_voice)},
    )
