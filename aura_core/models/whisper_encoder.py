"""Whisper as openai-whisper's module, its log-mel, and its encoder's hidden states."""

from collections.abc import Collection, Iterator
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
import whisper
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from whisper.audio import HOP_LENGTH, N_FFT, N_SAMPLES, SAMPLE_RATE, mel_filters, pad_or_trim
from whisper.model import ModelDimensions, ResidualAttentionBlock, Whisper

from aura_core.errors import AuraError
from aura_core.frames import valid_positions
from aura_core.models import whisper_weights
from aura_core.models.pinned import locate
from aura_core.models.references import Reference, hub_commit, local_path, parse
from aura_core.models.whisper_weights import read_variables


def load_whisper(reference: str, device: torch.device) -> Whisper:
    """Return the model on `device`, in float32 and evaluation mode.

    A local path is a checkpoint of openai-whisper (`.pt`), a CTranslate2
    `model.bin`, or a folder saved by transformers.

    Raises:
        AuraError: if the reference cannot be resolved or is not a Whisper.
    """
    parsed = parse(reference)
    try:
        model = _load(parsed)
    except (OSError, RuntimeError, ValueError, KeyError, UnpicklingError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise AuraError(f"model {reference!r} cannot be loaded as a Whisper ({reason})") from error
    return model.to(device).eval().requires_grad_(False)


def log_mel(audio: NDArray[np.float32], n_mels: int) -> Tensor:
    """Return Whisper's normalised log-mel of a clip at its own length.

    Args:
        audio: float32 [samples] at 16 kHz; shorter than one window is padded with silence.
        n_mels: 80 or 128.

    Returns:
        float32 [frames_100hz, n_mels], frames = samples // 160.
    """
    padding = max(0, N_FFT - len(audio))
    wave = functional.pad(torch.from_numpy(np.ascontiguousarray(audio)), (0, padding))
    spectrum = torch.stft(wave, N_FFT, HOP_LENGTH, window=_window(), return_complex=True)[:, :-1]
    decades = _mel_decades(spectrum, n_mels)
    return _scaled(torch.maximum(decades, decades.max() - 8.0))


def unfloored_log_mel(wave: Tensor, n_mels: int) -> Tensor:
    """Return the log-mel of whole windows, without padding and without a floor under the clip.

    Args:
        wave: float32 [samples] at 16 kHz, at least one window of 400.
        n_mels: 80 or 128.

    Returns:
        float32 [frames_100hz, n_mels], frames = (samples - 400) // 160 + 1.
    """
    spectrum = torch.stft(
        wave, N_FFT, HOP_LENGTH, window=_window(), center=False, return_complex=True
    )
    return _scaled(_mel_decades(spectrum, n_mels))


def _mel_decades(spectrum: Tensor, n_mels: int) -> Tensor:
    # As openai-whisper's log_mel_spectrogram, without its slow way by the absolute value.
    power = spectrum.real.square() + spectrum.imag.square()
    bands: Tensor = mel_filters(spectrum.device, n_mels) @ power
    return bands.clamp(min=1e-10).log10()


def _scaled(decades: Tensor) -> Tensor:
    return ((decades + 4.0) / 4.0).T.contiguous()


@lru_cache
def _window() -> Tensor:
    return torch.hann_window(N_FFT)


def padded_log_mel(audio: NDArray[np.float32], n_mels: int, silence_s: float = 30.0) -> Tensor:
    """Return the log-mel of a clip and the silence after it, at most 30 s in all.

    Args:
        audio: float32 [samples] at 16 kHz.
        n_mels: 80 or 128.
        silence_s: seconds of silence; the default fills Whisper's window, as in its training.

    Returns:
        float32 [frames_100hz, n_mels].
    """
    return log_mel(
        pad_or_trim(audio, min(N_SAMPLES, len(audio) + round(silence_s * SAMPLE_RATE))), n_mels
    )


def in_precision(model: Whisper, dtype: torch.dtype) -> Whisper:
    """Return the model with an encoder that multiplies in `dtype`; `model` stays as it is.

    The residual stream, norms and positions stay float32.
    """
    if dtype == torch.float32:
        return model
    model = deepcopy(model)
    for module in model.encoder.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            module.to(dtype)
    return model


@torch.inference_mode()
def encoder_states(
    model: Whisper, mel: Tensor, num_mel_frames: Tensor, layers: Collection[int]
) -> Iterator[tuple[int, Tensor]]:
    """Yield the hidden states after chosen encoder layers for a padded batch, layer by layer.

    Who uses up a layer's states before asking for the next finds them in the CPU's caches.

    A clip's states do not depend on what it is batched with: each is encoded at
    its own length, and padding reaches neither convolutions nor attention.

    Args:
        model: the teacher.
        mel: float [batch, frames_100hz, n_mels], at most 2 * n_audio_ctx frames.
        num_mel_frames: int64 [batch], valid frames of each clip.
        layers: 1-based, the last one's states taken after the final LayerNorm; 0: the stem's
            output with positions, which the first layer is given.

    Yields:
        Layer, and its states, float32 [batch, (frames_100hz + 1) // 2, width]; valid are the
        first (num_mel_frames + 1) // 2 frames of a clip.
    """
    encoder = model.encoder
    # Zeros are what a convolution sees beyond the end of a lone clip.
    valid_mel = valid_positions(num_mel_frames, mel.shape[1])[:, None]
    x = mel.transpose(1, 2).to(encoder.conv1.weight.dtype)
    x = functional.gelu(encoder.conv1(x * valid_mel)) * valid_mel
    x = functional.gelu(encoder.conv2(x)).transpose(1, 2)
    x = x.float() + encoder.positional_embedding[: x.shape[1]]
    valid = valid_positions((num_mel_frames + 1) // 2, x.shape[1])
    mask = None if bool(valid.all()) else valid[:, None, None]
    if 0 in layers:
        yield 0, x
    for layer, block in enumerate(encoder.blocks[: max(layers)], start=1):
        x = _block(block, x, mask)
        if layer in layers:
            yield layer, encoder.ln_post(x) if layer == model.dims.n_audio_layer else x


def _block(block: ResidualAttentionBlock, x: Tensor, mask: Tensor | None) -> Tensor:
    """Apply a block; the module's own forward knows no mask over keys."""
    attention = block.attn
    dtype = attention.query.weight.dtype
    normed = block.attn_ln(x).to(dtype)

    def heads(projected: Tensor) -> Tensor:
        batch, length, width = projected.shape
        return projected.view(batch, length, -1, width // attention.n_head).transpose(1, 2)

    query, key, value = (
        heads(project(normed)) for project in (attention.query, attention.key, attention.value)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    x = x + attention.out(mixed.transpose(1, 2).flatten(2))
    return x + torch.as_tensor(block.mlp(block.mlp_ln(x).to(dtype)))


def _load(reference: Reference) -> Whisper:
    if reference.kind == "whisper":
        return whisper.load_model(reference.name, device="cpu")
    if reference.kind == "hf":
        return _load_transformers(reference.name, hub_commit(reference))
    path = locate(reference.name) if reference.kind == "pinned" else local_path(reference)
    if path.is_dir():
        return _load_transformers(str(path))
    if path.suffix == ".bin":
        return _build(*whisper_weights.from_ctranslate2(read_variables(path)))
    return _load_checkpoint(path)


def _load_checkpoint(path: Path) -> Whisper:
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return _build(ModelDimensions(**checkpoint["dims"]), checkpoint["model_state_dict"])


def _load_transformers(name: str, revision: str = "main") -> Whisper:
    from transformers import WhisperForConditionalGeneration
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]
    source = WhisperForConditionalGeneration.from_pretrained(name, revision=revision)
    config = source.config
    return _build(
        *whisper_weights.from_transformers(
            source.state_dict(), config.encoder_attention_heads, config.decoder_attention_heads
        )
    )


def _build(dimensions: ModelDimensions, state: whisper_weights.State) -> Whisper:
    model = Whisper(dimensions)
    model.load_state_dict(state)
    return model.float()
