import io

import numpy as np
import pytest
import soundfile

from aura_core.corpus.audio import BadAudioError, decode_file

FORMATS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
           ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "ULAW")]  # fmt: skip


def tone(rate, duration_s=1.0, hertz=440.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * duration_s)) / rate)).astype("f4")


def encoded(audio, rate, format_="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format=format_, subtype=subtype)
    return file.getvalue()


def decode(data, max_duration_s=30.0):
    return decode_file(io.BytesIO(data), max_duration_s)


@pytest.mark.parametrize(("format_", "subtype"), FORMATS)
def test_any_format_becomes_16_khz(format_, subtype):
    clip = decode(encoded(tone(48_000), 48_000, format_, subtype))
    assert clip.audio.dtype == np.float32
    assert clip.audio.ndim == 1
    assert clip.source_sample_rate == 48_000
    assert clip.duration_s == pytest.approx(1.0, abs=0.08)
    spectrum = np.abs(np.fft.rfft(clip.audio))
    assert np.argmax(spectrum) * 16_000 / len(clip.audio) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100])
def test_any_rate(rate):
    clip = decode(encoded(tone(rate), rate))
    assert clip.duration_s == pytest.approx(1.0, abs=0.001)
    assert np.abs(clip.audio).max() == pytest.approx(0.5, abs=0.02)


def test_stereo_is_the_mean_of_its_channels():
    left = tone(16_000)
    clip = decode(encoded(np.stack([left, np.zeros_like(left)], axis=1), 16_000, "WAV", "FLOAT"))
    np.testing.assert_allclose(clip.audio, left / 2, atol=1e-6)


def cut(format_, subtype):
    data = encoded(tone(16_000, 2.0), 16_000, format_, subtype)
    return data[: len(data) // 2]


BAD = {
    "no bytes": (b"", "empty"),
    "no samples": (encoded(np.zeros(0), 16_000), "empty"),
    "text": (b"hello, I am no audio" * 50, "not audio"),
    "only a header": (encoded(tone(16_000), 16_000)[:20], "truncated"),
    "cut wav": (cut("WAV", "PCM_16"), "truncated"),
    "cut aiff": (cut("AIFF", "PCM_16"), "truncated"),
    "cut flac": (cut("FLAC", "PCM_16"), "truncated"),
    "nan": (encoded(np.full(1000, np.nan), 16_000, "WAV", "FLOAT"), "not finite"),
    "infinite": (encoded(np.full(1000, np.inf), 16_000, "WAV", "FLOAT"), "not finite"),
    "long": (encoded(tone(8_000, 31.0), 8_000), "too long"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_audio_is_refused_by_kind(name):
    data, kind = BAD[name]
    with pytest.raises(BadAudioError) as caught:
        decode(data)
    assert caught.value.kind == kind
    assert caught.value.detail


def test_long_audio_is_refused_unread():
    class Counting(io.BytesIO):
        num_bytes = 0

        def readinto(self, buffer):
            count = super().readinto(buffer)
            self.num_bytes += count
            return count

    file = Counting(encoded(tone(16_000, 40.0), 16_000))
    with pytest.raises(BadAudioError, match="too long"):
        decode_file(file, 30.0)
    assert file.num_bytes < 100_000


def test_streamed_wav_with_unknown_length_is_read():
    data = bytearray(encoded(tone(16_000), 16_000))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert decode(bytes(data)).duration_s == pytest.approx(1.0)
