"""Speech for the demo corpus: its training voices, and a second one training never hears.

Everything is a function of the config and the utterance: two runs, with any
number of workers, give the same bytes on the same machine.
"""

import _ctypes
import ctypes
import io
import json
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import soundfile
import soxr
import xxhash
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from aura_core.config.run import DemoCorpusConfig
from aura_core.config.voices import (
    ESPEAK_VOICES,
    FLITE_COMMANDS,
    PIPER,
    espeak_data,
    piper_folder,
    require_installed,
)
from aura_core.errors import AuraError
from aura_core.ingest.grammar import DEMO_INSTRUCTION, DemoUtterance
from aura_core.ingest.utterances import SAMPLE_RATE, Utterance, encode_audio

# Clips in which nobody speaks, for the training split of the demo corpus.
#
# An ear that has met nothing but speech hears words in everything.

KINDS = ("white", "pink", "brown", "hum", "clicks", "silence")
MIN_S, MAX_S = 0.5, 3.0
# Of full scale: from a few of the steps of 16 bits to as loud as speech.
_QUIETEST_DB, _LOUDEST_DB = -75.0, -3.0
# How much quieter an octave higher is, as a power of the frequency.
_TILTS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
_LOWEST_HZ = 20.0


def noise(draw: np.random.Generator) -> np.ndarray:
    """Draw a clip of one of `KINDS`: float32 [samples] at 16 kHz, at a level of its own."""
    kind = str(draw.choice(KINDS))
    length = round(float(draw.uniform(MIN_S, MAX_S)) * SAMPLE_RATE)
    level = 10 ** (float(draw.uniform(_QUIETEST_DB, _LOUDEST_DB)) / 20)
    if kind == "silence":
        return np.zeros(length, dtype=np.float32)
    if kind == "hum":
        audio = _hum(length, draw)
    elif kind == "clicks":
        audio = _clicks(length, draw)
    else:
        audio = _tilted(length, _TILTS[kind], draw)
    return np.asarray(audio * (level / np.abs(audio).max()), dtype=np.float32)


def _tilted(length: int, tilt: float, draw: np.random.Generator) -> np.ndarray:
    """Noise whose amplitude falls with the frequency to the power of `tilt`."""
    spectrum = np.fft.rfft(draw.standard_normal(length))
    frequency = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.maximum(frequency, _LOWEST_HZ) ** tilt, length)


def _hum(length: int, draw: np.random.Generator) -> np.ndarray:
    """The mains and a few of its harmonics, over a little noise."""
    mains = float(draw.choice([50.0, 60.0])) * float(draw.uniform(0.99, 1.01))
    time_s = np.arange(length) / SAMPLE_RATE
    audio = 0.02 * draw.standard_normal(length)
    for harmonic in range(1, 7):
        phase, size = draw.uniform(0, 2 * np.pi), draw.uniform(0, 1) / harmonic
        audio += size * np.sin(2 * np.pi * mains * harmonic * time_s + phase)
    return np.asarray(audio)


def _clicks(length: int, draw: np.random.Generator) -> np.ndarray:
    """Knocks and clicks: short bursts that ring out, over a little noise."""
    audio = 0.005 * draw.standard_normal(length)
    for _ in range(int(draw.integers(1, 12))):
        start = int(draw.integers(length))
        time_s = np.arange(min(length - start, SAMPLE_RATE // 10)) / SAMPLE_RATE
        ringing = np.cos(2 * np.pi * draw.uniform(200, 4000) * time_s)
        burst = ringing * np.exp(-time_s / draw.uniform(0.001, 0.02))
        audio[start : start + len(burst)] += draw.uniform(0.2, 1) * burst
    return np.asarray(audio)


# espeak-ng, a synthesiser by rules, from the library that piper-tts brings for its phonemes.
#
# Piper uses a part of what the library can do; it also speaks, some 200 times faster than real
# time on one core. So there is a second synthesiser, with many voices, wherever piper is
# installed.

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_RATE, _UTF8 = 1, 1
_LIBRARY = "espeak-ng.so"
_SpeechCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p
)


def speak(text: str, voice: str, words_per_minute: int) -> tuple[np.ndarray, int]:
    """Return float32 [samples] and their rate; the same arguments give the same samples.

    Args:
        text: what to say.
        voice: espeak-ng's name of a language and, after a plus, of a variant: `en-us+f2`.
        words_per_minute: 80 to 450.

    Raises:
        AuraError: if piper's library is not there or does not know the voice.
    """
    # The library keeps state from one call to the next, as far as random numbers. Loaded anew,
    # it has none, so that a clip depends on nothing that was spoken before it.
    library = ctypes.CDLL(str(Path(_library_copy().name, _LIBRARY)))
    try:
        return _speak(library, text.encode(), voice, words_per_minute)
    finally:
        _ctypes.dlclose(library._handle)


def _speak(
    library: ctypes.CDLL, text: bytes, voice: str, words_per_minute: int
) -> tuple[np.ndarray, int]:
    pieces: list[np.ndarray] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_int16]", count: int, _events: int) -> int:
        if count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _SpeechCallback(collect)
    data = espeak_data()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
    library.espeak_SetSynthCallback(callback)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode()):
        raise AuraError(f"espeak-ng has no voice {voice!r} in {data}: install piper-tts anew")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    size = ctypes.c_size_t(len(text) + 1)
    failed = library.espeak_Synth(text, size, 0, 0, 0, _UTF8, None, None)
    library.espeak_Terminate()
    if failed or not pieces:
        raise AuraError(f"espeak-ng cannot speak {text.decode()!r}")
    return np.concatenate(pieces).astype(np.float32) / 32768, int(rate)


@cache
def _library_copy() -> tempfile.TemporaryDirectory[str]:
    """The folder of a copy that only this module loads: piper's own stays loaded."""
    found = sorted(piper_folder().glob("espeakbridge*.so"))
    if not found:
        raise AuraError(f"no espeakbridge*.so in {piper_folder()}: install piper-tts anew")
    folder = tempfile.TemporaryDirectory(prefix="aura-espeak-")
    shutil.copy(found[0], Path(folder.name, _LIBRARY))
    return folder


KEPT_SILENCE_S = 0.08
_TELEPHONE_RATE = 8000
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
        before_noise, after_noise = self._telephones(utterance)
        audio = trimmed_clip(telephone(audio, rate) if before_noise else audio, rate)
        audio = add_noise(audio, float(draw.uniform(*self._config.snr_db)), draw)
        audio = telephone(audio, SAMPLE_RATE) if after_noise else audio
        audio = set_level(audio, float(draw.uniform(*self._config.gain_db)))
        return voice, audio, rate

    def _telephones(self, utterance: DemoUtterance) -> tuple[bool, bool]:
        """Whether a training clip has the band of a telephone, without its noise or with it."""
        if utterance.split != "train" or not self._config.telephone_share:
            return False, False
        draw = _generator(self._config.seed, f"{utterance.id}:telephone")
        chosen = draw.random() < self._config.telephone_share
        with_noise = draw.random() < 0.5
        return bool(chosen and not with_noise), bool(chosen and with_noise)

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
        return speak(text, ESPEAK_VOICES[voice], words_per_minute)
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


def telephone(audio: np.ndarray, rate: int) -> np.ndarray:
    """Take away what a telephone does not carry: all above 4 kHz. Length and rate stay."""
    narrow = soxr.resample(soxr.resample(audio, rate, _TELEPHONE_RATE), _TELEPHONE_RATE, rate)
    return np.pad(narrow, (0, max(0, len(audio) - len(narrow))))[: len(audio)]


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
