import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration

from aura_core.models.whisper_encoder import load_whisper

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
