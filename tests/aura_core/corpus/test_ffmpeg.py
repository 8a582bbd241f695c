"""What telephones and browsers record, and what is told where ffmpeg is missing."""

import shlex
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from aura_core.corpus.audio import BadAudioError
from aura_core.corpus.ffmpeg import decode_by_ffmpeg

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture
def tone(tmp_path):
    """Two seconds of 440 Hz at 44.1 kHz in two channels."""
    samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(88200) / 44100)
    path = tmp_path / "a tone.wav"
    soundfile.write(path, np.stack([samples, samples], axis=1), 44100)
    return path


@needs_ffmpeg
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".m4a", "aac"), (".webm", "libopus"), (".mp4", "aac")]
)
def test_recordings_are_read_as_16_khz_mono(tone, suffix, codec):
    path = tone.with_suffix(suffix)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", tone, "-c:a", codec, "-strict", "-2", path], check=True
    )
    audio = decode_by_ffmpeg(path, 30)
    assert audio.dtype == np.float32
    assert audio.flags.writeable
    assert abs(len(audio) - 32000) < 1600  # an encoder's padding
    spectrum = np.abs(np.fft.rfft(audio[:32000] * np.hanning(len(audio[:32000]))))
    assert abs(spectrum.argmax() / (len(audio[:32000]) / 16000) - 440) < 2
    assert np.sqrt(np.square(audio).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert 7500 < len(decode_by_ffmpeg(path, 0.5)) <= 8000  # what comes before zero is dropped


PLAYLIST = "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"


@needs_ffmpeg
@pytest.mark.parametrize("text", ["no audio", PLAYLIST], ids=["text", "playlist"])
def test_neither_a_text_nor_a_playlist_of_another_host_is_read(tmp_path, text):
    path = tmp_path / "text.m4a"
    path.write_text(text)
    with pytest.raises(BadAudioError, match="not audio"):
        decode_by_ffmpeg(path, 30)


def test_without_ffmpeg_the_command_that_converts_is_told(tone, monkeypatch):
    path = tone.with_suffix(".m4a")
    with monkeypatch.context() as without:
        without.setenv("PATH", "/nowhere")
        with pytest.raises(BadAudioError, match="apt-get install ffmpeg") as caught:
            decode_by_ffmpeg(path, 30)
    command = shlex.split(caught.value.detail.partition("elsewhere: ")[2])
    if shutil.which("ffmpeg") is None:
        return
    subprocess.run(["ffmpeg", "-v", "error", "-i", tone, "-strict", "-2", path], check=True)
    tone.unlink()
    subprocess.run([command[0], "-v", "error", *command[1:]], check=True)
    assert soundfile.info(tone).samplerate == 16000
