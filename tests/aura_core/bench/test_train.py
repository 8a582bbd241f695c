"""What is timed, and what a user's loop would learn from."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aura_core.bench.train import _padded, _timed_phase
from aura_core.config.recipes import recipe
from aura_core.ingest.utterances import encode_audio
from aura_core.models.whisper_encoder import encoder_states, load_whisper, padded_log_mel
from aura_core.teacher_cache.codec import Codec, LayerCodec

LAYERS = (0, 2, 4)


def test_every_timed_step_hears():
    phase = _timed_phase(recipe("vora-like").distil, 10)
    assert not any(phase.is_text_step(step) for step in range(phase.steps))


@pytest.mark.parametrize("layers", [LAYERS, (1, 2, 3, 4)])
def test_a_user_s_loop_has_the_states_of_every_cached_layer(layers):
    whisper = load_whisper("pinned:whisper-tiny.en", torch.device("cpu"))
    samples = (0.1 * np.random.default_rng(0).normal(size=9600)).astype(np.float32)
    flac, _ = encode_audio(samples)
    plain = LayerCodec(torch.zeros(384), torch.ones(384))
    cache = SimpleNamespace(
        codec=Codec(dict.fromkeys(layers, plain), 50, 1, torch.float32), layers=layers
    )
    found = _padded(whisper, cache, {"clip": {"audio": {"bytes": flac}}})(
        SimpleNamespace(keys=["clip"])
    )
    mel = padded_log_mel(samples, 80)
    for layer, states in encoder_states(whisper, mel[None], torch.tensor([3000]), layers):
        # FLAC keeps 16 bits of a sample.
        torch.testing.assert_close(found[layer], states[:, :30], atol=0.02, rtol=0.02)
