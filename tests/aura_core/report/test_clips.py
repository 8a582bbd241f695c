import base64
import io

import numpy as np
import soundfile

from aura_core.report.clips import audio_data_uri, waveform


def test_the_clip_can_be_decoded_again_and_is_small():
    time_s = np.arange(32_000) / 16_000
    audio = (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)
    uri = audio_data_uri(audio)
    kind, _, payload = uri.partition(",")
    decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(payload)))
    assert kind == "data:audio/mpeg;base64"
    assert rate == 16_000
    assert abs(len(decoded) - len(audio)) < 3000
    middle = decoded[8000:24_000]
    assert abs(np.abs(np.fft.rfft(middle)).argmax() - 440) <= 1
    assert len(uri) < 32_000


def test_the_waveform_follows_the_loudness():
    audio = np.concatenate([np.zeros(8000), np.full(8000, 0.5)]).astype(np.float32)
    assert waveform(audio, bars=4) == [0, 0, 1, 1]


def test_silence_and_very_short_audio_have_a_waveform():
    assert waveform(np.zeros(100, np.float32), bars=4) == [0, 0, 0, 0]
    assert waveform(np.zeros(0, np.float32), bars=4) == [0, 0, 0, 0]
    assert len(waveform(np.ones(3, np.float32), bars=8)) == 8
