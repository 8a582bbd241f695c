import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.corpus.audio import BadAudioError, Clip, decode_file

TONE_HZ = 440


def tone(duration_s: float = 1.0, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate)) / rate
    mono = 0.5 * np.sin(2 * np.pi * TONE_HZ * time_s)
    return np.stack([mono] * channels, axis=1).astype(np.float32)


def encode(
    audio: np.ndarray, rate: int = 16_000, container: str = "WAV", subtype: str | None = None
) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def decode(data: bytes, max_duration_s: float = 30.0) -> Clip:
    return decode_file(io.BytesIO(data), max_duration_s)


def refused(data: bytes) -> str:
    with pytest.raises(BadAudioError) as caught:
        decode(data)
    return caught.value.kind


def pitch_hz(clip: Clip) -> float:
    spectrum = np.abs(np.fft.rfft(clip.audio * np.hanning(len(clip.audio))))
    return float(np.argmax(spectrum)) / clip.duration_s


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "FLOAT"),
        ("WAV", "ULAW"),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("MP3", None),
        ("AIFF", None),
        ("AU", None),
        ("W64", None),
        ("CAF", None),
    ],
)
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (16_000, 1)])
def test_every_format_becomes_mono_16_khz(container, subtype, rate, channels):
    clip = decode(encode(tone(rate=rate, channels=channels), rate, container, subtype))
    assert clip.audio.dtype == np.float32
    assert clip.audio.ndim == 1
    assert clip.source_sample_rate == rate
    assert clip.duration_s == pytest.approx(1.0, abs=0.1)
    assert pitch_hz(clip) == pytest.approx(TONE_HZ, abs=2)


def test_16_khz_pcm_is_kept_to_the_sample():
    audio = tone()
    pcm = np.round(audio[:, 0] * 32768).astype(np.int16)
    np.testing.assert_array_equal(decode(encode(pcm)).audio, pcm / np.float32(32768))


def test_channels_are_averaged():
    left, right = tone()[:, 0], np.zeros(16_000, dtype=np.float32)
    clip = decode(encode(np.stack([left, right], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(clip.audio, left / 2, atol=1e-6)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "FLAC", "MP3", "AIFF", "AU", "W64", "RF64"])
def test_a_cut_file_is_truncated(container):
    data = encode(tone(2.0), container=container)
    assert refused(data[: len(data) // 2]) == "truncated"


def test_a_damaged_flac_frame_is_not_taken_for_silence():
    data = bytearray(encode(tone(2.0), container="FLAC"))
    middle = len(data) // 2
    data[middle : middle + 500] = bytes(500)
    assert refused(bytes(data)) == "truncated"


@pytest.mark.parametrize("size_bytes", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F024])
def test_a_wav_from_a_pipe_has_no_length_in_its_header_and_is_read(size_bytes):
    data = bytearray(encode(tone()))
    data[4:8] = data[40:44] = struct.pack("<I", size_bytes)
    assert decode(bytes(data)).duration_s == 1.0


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (encode(np.zeros((0, 1), dtype=np.float32)), "empty"),
        (b"<html>502 Bad Gateway</html>" * 50, "not audio"),
        (bytes(5000), "not audio"),
        (encode(tone())[:20], "not audio"),
    ],
    ids=["no bytes", "no samples", "a web page", "zeros", "half a header"],
)
def test_what_is_no_audio_is_refused(data, kind):
    assert refused(data) == kind


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value):
    audio = tone()
    audio[100] = value
    assert refused(encode(audio, subtype="FLOAT")) == "not finite"


def test_the_limit_is_inclusive():
    assert decode(encode(tone(2.0)), max_duration_s=2.0).duration_s == 2.0
    with pytest.raises(BadAudioError, match=r"too long: 2\.1 s, at most 2 s"):
        decode(encode(tone(2.1)), max_duration_s=2.0)


def test_a_long_file_is_refused_before_it_is_decoded():
    class CountingFile(io.BytesIO):
        bytes_read = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.bytes_read += len(data)
            return data

        def readinto(self, buffer) -> int:
            count = super().readinto(buffer)
            self.bytes_read += count
            return count

    file = CountingFile(encode(tone(60.0)))
    with pytest.raises(BadAudioError, match="too long"):
        decode_file(file, max_duration_s=30.0)
    assert file.bytes_read < 100_000


def outcome(data: bytes) -> str:
    try:
        clip = decode(data)
    except BadAudioError as error:
        return error.kind
    return "good" if np.isfinite(clip.audio).all() and len(clip.audio) else "bad clip"


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["WAV", "FLAC", "OGG", "AU"]), st.integers(0, 400))
def test_any_bytes_give_a_clip_or_a_reason(noise, container, position):
    data = bytearray(encode(tone(0.1), container=container))
    data[position : position + len(noise)] = noise
    reasons = {"empty", "truncated", "not audio", "not finite", "too long"}
    assert outcome(bytes(data)) in {"good", *reasons}
