import struct

import numpy as np
import pytest
import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from aura_core.errors import AuraError
from aura_core.models.pinned import locate
from aura_core.models.whisper_encoder import load_whisper
from aura_core.models.whisper_weights import read_variables


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def variable(name: str, array: np.ndarray, dtype: int) -> bytes:
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return string(name) + shape + struct.pack("<BI", dtype, array.nbytes) + array.tobytes()


ARRAYS = {
    "a": (np.arange(6, dtype="<f4").reshape(2, 3), 0),
    "b": (np.array([-3, 4], dtype="<i1"), 1),
    "c": (np.array(7, dtype="<i2"), 2),
    "d": (np.array([[1], [2]], dtype="<i4"), 3),
    "e": (np.array([0.5, -0.25], dtype="<f2"), 4),
}
HEADER = struct.pack("<I", 6) + string("Spec") + struct.pack("<I", 3)
FILE = (
    HEADER
    + struct.pack("<I", len(ARRAYS))
    + b"".join(variable(name, array, dtype) for name, (array, dtype) in ARRAYS.items())
    + struct.pack("<I", 1)
    + string("alias")
    + string("a")
)


def test_reads_every_dtype_and_shape(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(FILE)
    variables = read_variables(path)
    assert list(variables) == list(ARRAYS)
    for name, (array, _) in ARRAYS.items():
        assert variables[name].dtype == array.dtype
        np.testing.assert_array_equal(variables[name], array)


def test_every_truncation_and_a_left_over_byte_are_refused(tmp_path):
    path = tmp_path / "model.bin"
    for data in [*(FILE[:size] for size in range(len(FILE))), FILE + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(AuraError, match=r"model\.bin"):
            read_variables(path)


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<I", 5) + FILE[4:])
    with pytest.raises(AuraError, match="version 5, expected 6"):
        read_variables(path)


def test_reads_the_pinned_model():
    variables = read_variables(locate("whisper-tiny.en"))
    assert variables["encoder/conv1/weight"].shape == (384, 80, 3)
    assert variables["encoder/num_heads"] == 6


CPU = torch.device("cpu")


def test_a_transformers_whisper_computes_the_same(tmp_path):
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=100, num_mel_bins=80, d_model=32, max_source_positions=1500,
        max_target_positions=20, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=128,
        decoder_layers=3, decoder_attention_heads=2, decoder_ffn_dim=128, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[],
        begin_suppress_tokens=[],
    )  # fmt: skip
    source = WhisperForConditionalGeneration(config).eval()
    # At their initial values biases and norms would hide a mix-up.
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    source.save_pretrained(tmp_path)
    model = load_whisper(str(tmp_path), CPU)
    assert (model.dims.n_audio_head, model.dims.n_text_head) == (4, 2)
    assert (model.dims.n_audio_layer, model.dims.n_text_layer) == (2, 3)
    mel, tokens = torch.randn(2, 80, 3000), torch.randint(0, 100, (2, 7))
    with torch.inference_mode():
        expected = source(input_features=mel, decoder_input_ids=tokens)
        torch.testing.assert_close(
            model.encoder(mel), expected.encoder_last_hidden_state, atol=1e-4, rtol=1e-4
        )
        torch.testing.assert_close(model(mel, tokens), expected.logits, atol=1e-3, rtol=1e-4)
