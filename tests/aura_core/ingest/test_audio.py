import io
import shlex
import shutil
import struct
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from aura_core.ingest.audio import (
    BadAudioError,
    Clip,
    decode_by_ffmpeg,
    decode_file,
    first_seconds,
)

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
    with pytest.raises(BadAudioError, match=r"too long: 2\.10 s, at most 2 s"):
        decode(encode(tone(2.1)), max_duration_s=2.0)


def test_what_is_longer_by_rounding_loses_its_end():
    clip = decode(encode(np.zeros((480_003, 1), dtype=np.float32)))
    assert len(clip.audio) == 480_000


def test_a_part_is_decoded_alone():
    pitches = [tone(1.0), 0 * tone(1.0), tone(1.0)]
    data = encode(np.concatenate(pitches))
    clip = decode_file(io.BytesIO(data), 2.0, offset_s=0.9, duration_s=1.2)
    assert clip.duration_s == pytest.approx(1.2)
    assert np.abs(clip.audio[1600:17600]).max() < 0.01 < np.abs(clip.audio[-1500:]).max()
    assert decode_file(io.BytesIO(data), 2.0, offset_s=1.5).duration_s == pytest.approx(1.5)
    with pytest.raises(BadAudioError, match=r"truncated: the part ends at 4\.00 s, the file at 3"):
        decode_file(io.BytesIO(data), 2.0, offset_s=2.5, duration_s=1.5)
    with pytest.raises(BadAudioError, match="too long"):
        decode_file(io.BytesIO(data), 2.0, offset_s=0.5)


def test_floats_at_the_scale_of_integers_are_refused_and_a_little_too_loud_ones_are_not_clipped():
    assert refused(encode(32768 * tone(), subtype="FLOAT")) == "not scaled"
    clip = decode(encode(3 * tone(), subtype="FLOAT"))
    assert np.abs(clip.audio).max() == pytest.approx(1.0, abs=1e-3)
    assert pitch_hz(clip) == pytest.approx(TONE_HZ, abs=1)


def test_channels_that_cancel_are_refused_and_one_of_many_is_heard():
    assert refused(encode(tone(channels=2) * [1, -1])) == "channels cancel"
    assert np.abs(decode(encode(tone(channels=2) * [0, 1])).audio).max() > 0.2
    many = tone(channels=8) * [0, 0, 1, 0, 0, 0, 0, 0]
    assert np.abs(decode(encode(many)).audio).max() > 0.05


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_16"])
def test_encodings_that_cannot_seek_are_decoded(subtype):
    container = "AU" if subtype == "G721_32" else "WAV"
    clip = decode(encode(tone(1.0, 8000), 8000, container, subtype))
    assert clip.duration_s == pytest.approx(1.0, abs=0.05)
    assert pitch_hz(clip) == pytest.approx(TONE_HZ, abs=3)


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
    reasons |= {"not scaled", "channels cancel"}
    assert outcome(bytes(data)) in {"good", *reasons}


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def stereo_tone(tmp_path):
    """Two seconds of 440 Hz at 44.1 kHz in two channels."""
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(88200) / 44100)
    path = tmp_path / "a tone.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1), 44100)
    return path


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".m4a", "aac"), (".webm", "libopus"), (".mp4", "aac")]
)
def test_recordings_are_read_as_16_khz_mono(stereo_tone, suffix, codec):
    path = stereo_tone.with_suffix(suffix)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", stereo_tone, "-c:a", codec, "-strict", "-2", path],
        check=True,
    )
    clip = decode_by_ffmpeg(path, 30)
    audio = clip.audio
    assert clip.source_sample_rate == (48_000 if codec == "libopus" else 44_100)
    assert audio.dtype == np.float32
    assert audio.flags.writeable
    assert abs(len(audio) - 32000) < 1600  # an encoder's padding
    spectrum = np.abs(np.fft.rfft(audio[:32000] * np.hanning(len(audio[:32000]))))
    assert abs(spectrum.argmax() / (len(audio[:32000]) / 16000) - 440) < 2
    assert np.sqrt(np.square(audio).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert 7500 < len(first_seconds(path, 0.5)) <= 8000  # what comes before zero is dropped
    assert abs(decode_by_ffmpeg(path, 30, offset_s=1.0, duration_s=0.5).duration_s - 0.5) < 0.03
    with pytest.raises(BadAudioError, match="too long"):
        decode_by_ffmpeg(path, 1.0)


PLAYLIST = "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"


@needs_ffmpeg
@pytest.mark.parametrize("text", ["no audio", PLAYLIST], ids=["text", "playlist"])
def test_neither_a_text_nor_a_playlist_of_another_host_is_read(tmp_path, text):
    path = tmp_path / "text.m4a"
    path.write_text(text)
    with pytest.raises(BadAudioError, match="not audio"):
        decode_by_ffmpeg(path, 30)


def test_without_ffmpeg_the_command_that_converts_is_told(stereo_tone, monkeypatch):
    path = stereo_tone.with_suffix(".m4a")
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        with pytest.raises(BadAudioError, match="apt-get install ffmpeg") as caught:
            decode_by_ffmpeg(path, 30)
    command = shlex.split(caught.value.detail.partition("elsewhere: ")[2])
    if shutil.which("ffmpeg") is None:
        return
    subprocess.run(["ffmpeg", "-v", "error", "-i", stereo_tone, "-strict", "-2", path], check=True)
    stereo_tone.unlink()
    subprocess.run([command[0], "-v", "error", *command[1:]], check=True)
    assert soundfile.info(stereo_tone).samplerate == 16000
