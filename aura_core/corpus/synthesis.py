"""Speech for the demo corpus: its training voices, and a second one training never hears.

Everything is a function of the config and the utterance: two runs, with any
number of workers, give the same bytes on the same machine.
"""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import soundfile
import soxr
import xxhash
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from aura_core.config import DemoCorpusConfig
from aura_core.corpus import espeak
from aura_core.corpus.grammar import DEMO_INSTRUCTION, DemoUtterance
from aura_core.corpus.noise import noise
from aura_core.corpus.table import SAMPLE_RATE, Utterance, encode_audio
from aura_core.corpus.voice import ESPEAK_VOICES, FLITE_COMMANDS, PIPER, require_installed
from aura_core.errors import AuraError

KEPT_SILENCE_S = 0.08
_ESPEAK_WORDS_PER_MINUTE = 170


class Piper:
    """Piper's neural voice.

    It draws noise from a generator that belongs to the ONNX session and moves on with every
    call: same seed and same texts in the same order give the same audio.
    """

    def __init__(self, voice_model: Path, seed: str) -> None:
        onnxruntime.set_seed(xxhash.xxh3_64_intdigest(seed.encode()) & 0x7FFF_FFFF)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(voice_model), options, providers=["CPUExecutionProvider"]
        )
        settings = json.loads(Path(f"{voice_model}.json").read_text(encoding="utf-8"))
        self._voice = PiperVoice(session=session, config=PiperConfig.from_dict(settings))

    def speak(self, text: str, length_scale: float) -> tuple[np.ndarray, int]:
        """Return float32 [samples] and their rate; a larger `length_scale` is slower speech."""
        chunks = self._voice.synthesize(text, SynthesisConfig(length_scale=length_scale))
        audio = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return audio, int(self._voice.config.sample_rate)


class Synthesizer:
    """Speaks the utterances of one chunk, the unit that can be repeated exactly."""

    def __init__(
        self, voice_model: Path, second_voice: str, config: DemoCorpusConfig, seed: str
    ) -> None:
        self._config = config
        self._second_voice = second_voice
        self._piper = Piper(voice_model, seed)

    def speak(self, utterance: DemoUtterance) -> Utterance:
        """Synthesise one utterance as a row of the table; without a text it is noise."""
        draw = _generator(self._config.seed, utterance.id)
        if not utterance.sentence.text:
            return _row(utterance, None, noise(draw), SAMPLE_RATE)
        return _row(utterance, *self._spoken(utterance, draw))

    def _spoken(
        self, utterance: DemoUtterance, draw: np.random.Generator
    ) -> tuple[str, np.ndarray, int]:
        """Who speaks, float32 [samples] at `SAMPLE_RATE`, and the rate they were made at."""
        text = utterance.sentence.text
        voice = self._voice(utterance)
        scale = 1.0
        if utterance.split != "voice" and voice not in FLITE_COMMANDS:
            scale = float(draw.choice(self._config.length_scales))
        if voice == PIPER:
            pitch = self._pitch(utterance)
            # Spoken as much slower as it then is played faster.
            audio, rate = self._piper.speak(text, scale * pitch)
            rate = round(rate * pitch)
        else:
            audio, rate = speak_as(voice, text, scale)
        audio = add_noise(
            trimmed_clip(audio, rate), float(draw.uniform(*self._config.snr_db)), draw
        )
        audio = set_level(audio, float(draw.uniform(*self._config.gain_db)))
        return voice, audio, rate

    def _pitch(self, utterance: DemoUtterance) -> float:
        """What moves the pitch and the formants of a training sentence; 1: nothing."""
        low, high = self._config.pitch_factor
        if utterance.split != "train" or low == high == 1.0:
            return 1.0
        return float(_generator(self._config.seed, f"{utterance.id}:pitch").uniform(low, high))

    def _voice(self, utterance: DemoUtterance) -> str:
        if utterance.split == "voice":
            return self._second_voice
        if utterance.split != "train":
            return self._config.train_voices[0]
        # Drawn apart, so that one voice alone draws all the rest as it would among others.
        draw = _generator(self._config.seed, f"{utterance.id}:voice")
        return str(draw.choice(self._config.train_voices))


def speak_as(voice: str, text: str, length_scale: float = 1.0) -> tuple[np.ndarray, int]:
    """Let a voice of espeak-ng or flite speak; returns float32 [samples] and their rate.

    A larger `length_scale` is slower speech; flite takes no notice of it.
    """
    if voice in ESPEAK_VOICES:
        words_per_minute = round(_ESPEAK_WORDS_PER_MINUTE / length_scale)
        return espeak.speak(text, ESPEAK_VOICES[voice], words_per_minute)
    # A worker may be another machine than the one that planned.
    require_installed([voice])
    result = subprocess.run([*FLITE_COMMANDS[voice], text], capture_output=True, check=False)
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()
        raise AuraError(f"{voice} cannot speak {text!r}: {reason}")
    return _parse_streamed_wav(result.stdout)


def trimmed_clip(audio: np.ndarray, rate: int) -> np.ndarray:
    """Bring what a voice has spoken to `SAMPLE_RATE`, without the silence around it."""
    return trim_silence(soxr.resample(audio, rate, SAMPLE_RATE), SAMPLE_RATE)


def trim_silence(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Cut silence at both ends down to `KEPT_SILENCE_S`; audio is float32 [samples]."""
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max(initial=1e-9))
    kept = round(KEPT_SILENCE_S * sample_rate)
    return audio[max(0, loud[0] - kept) : loud[-1] + kept] if len(loud) else audio


def add_noise(audio: np.ndarray, snr_db: float, draw: np.random.Generator) -> np.ndarray:
    """Add white noise at a signal-to-noise ratio."""
    noise = draw.standard_normal(len(audio), dtype=np.float32)
    scale = np.sqrt(np.mean(audio**2)) * 10 ** (-snr_db / 20)
    return np.asarray(audio + noise * np.float32(scale))


def set_level(audio: np.ndarray, peak_db: float) -> np.ndarray:
    """Scale so that the loudest sample lies at `peak_db` (dB of full scale)."""
    return np.asarray(audio * np.float32(10 ** (peak_db / 20) / max(np.abs(audio).max(), 1e-9)))


def _row(utterance: DemoUtterance, speaker: str | None, audio: np.ndarray, rate: int) -> Utterance:
    """A row of the table; `rate` is what the audio came at before it was brought to 16 kHz."""
    flac, digest = encode_audio(audio)
    meaning = utterance.sentence.meaning
    return Utterance(
        id=utterance.id,
        text=utterance.sentence.text,
        instruction=None if meaning is None else DEMO_INSTRUCTION,
        response=meaning,
        speaker=speaker,
        split=utterance.split,
        family=utterance.sentence.family,
        duration_s=len(audio) / SAMPLE_RATE,
        source_sample_rate=rate,
        avg_logprob=None,
        audio={"bytes": flac, "path": f"{utterance.id}.flac"},
        digest=digest,
    )


def _generator(seed: int, utterance_id: str) -> np.random.Generator:
    return np.random.Generator(
        np.random.PCG64(xxhash.xxh3_64_intdigest(f"{seed}:{utterance_id}".encode()))
    )


def _parse_streamed_wav(data: bytes) -> tuple[np.ndarray, int]:
    """Read WAV bytes from a pipe, whose header cannot know its length."""
    start = data.index(b"data") + 8
    fixed = bytearray(data)
    fixed[4:8] = (len(data) - 8).to_bytes(4, "little")
    fixed[start - 4 : start] = (len(data) - start).to_bytes(4, "little")
    audio, rate = soundfile.read(io.BytesIO(bytes(fixed)), dtype="float32")
    return np.asarray(audio), int(rate)
