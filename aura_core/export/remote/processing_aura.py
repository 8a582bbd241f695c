"""Text and audio to a model's inputs. Copied into the model folder: self-contained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

_MIN_SAMPLES = 400  # one window of the log-mel


class AuraProcessor(ProcessorMixin):
    """Whisper's feature extractor and the LLM's tokenizer.

    Args:
        feature_extractor: a WhisperFeatureExtractor.
        tokenizer: the LLM's, with the audio token.
        chat_template: Jinja; takes `{"type": "audio"}` among a message's content parts.
        audio_token: what stands for a clip in the text.
        stride: stem frames (50 Hz) in one audio position.
    """

    def __init__(
        self,
        feature_extractor: Any = None,
        tokenizer: Any = None,
        chat_template: str | None = None,
        audio_token: str = "<|audio|>",
        stride: int = 4,
    ) -> None:
        self.audio_token = audio_token
        self.audio_token_id = tokenizer.convert_tokens_to_ids(audio_token)
        self.stride = stride
        super().__init__(feature_extractor, tokenizer, chat_template=chat_template)

    def __call__(
        self,
        text: str | Sequence[str],
        audio: Any = None,
        sampling_rate: int | None = None,
        **_kwargs: Any,
    ) -> BatchFeature:
        """Return tensors for `generate`.

        Args:
            text: one prompt or several, `audio_token` once for each clip.
            audio: one clip or a list of them, in the order of their tokens: float [samples] or
                [samples, channels], or the path of a file that soundfile reads.
            sampling_rate: Hz of the clips given as arrays; needed for them.

        Returns:
            input_ids and attention_mask, int64 [batch, length], padded on the left, and of
            clips input_features, float32 [clips, mels, frames], and feature_attention_mask,
            int64 [clips, frames].

        Raises:
            ValueError: if clips and audio tokens differ in number, a clip is too long or empty,
                or a rate is missing.
        """
        prompts = [text] if isinstance(text, str) else list(text)
        features = [self._log_mel(each, sampling_rate) for each in _clips(audio)]
        num_tokens = sum(prompt.count(self.audio_token) for prompt in prompts)
        if num_tokens != len(features):
            raise ValueError(f"{num_tokens} {self.audio_token} in the text, {len(features)} clips")
        counts = iter([-(-((each.shape[1] + 1) // 2) // self.stride) for each in features])
        ids = [self._encode(prompt, counts) for prompt in prompts]
        length = max(map(len, ids))
        pad = self.tokenizer.pad_token_id or 0
        inputs = {
            "input_ids": torch.tensor([[pad] * (length - len(row)) + row for row in ids]),
            "attention_mask": torch.tensor(
                [[0] * (length - len(row)) + [1] * len(row) for row in ids]
            ),
        }
        if features:
            frames = max(each.shape[1] for each in features)
            padded = [np.pad(each, ((0, 0), (0, frames - each.shape[1]))) for each in features]
            inputs["input_features"] = torch.from_numpy(np.stack(padded))
            inputs["feature_attention_mask"] = torch.tensor(
                [[1] * each.shape[1] + [0] * (frames - each.shape[1]) for each in features]
            )
        return BatchFeature(inputs)

    @property
    def model_input_names(self) -> list[str]:
        """What `__call__` returns."""
        return ["input_ids", "attention_mask", "input_features", "feature_attention_mask"]

    def _encode(self, prompt: str, counts: Any) -> list[int]:
        # Each piece on its own, as in training: a clip ends a token.
        first, *rest = prompt.split(self.audio_token)
        ids = list(self.tokenizer.encode(first, add_special_tokens=False))
        for piece in rest:
            ids += [self.audio_token_id] * next(counts)
            ids += self.tokenizer.encode(piece, add_special_tokens=False)
        return ids

    def _log_mel(self, clip: Any, sampling_rate: int | None) -> np.ndarray:
        if isinstance(clip, str | Path):
            import soundfile

            clip, sampling_rate = soundfile.read(clip, dtype="float32")
        if sampling_rate is None:
            raise ValueError("give sampling_rate, in Hz, with audio that is no file")
        samples = np.asarray(clip, dtype=np.float32)
        if samples.ndim == 2:
            samples = samples.mean(axis=1)
        samples = _resample(samples, sampling_rate, self.feature_extractor.sampling_rate)
        if len(samples) == 0:
            raise ValueError("a clip has no samples")
        if len(samples) > self.feature_extractor.n_samples:
            raise ValueError(
                f"a clip of {len(samples) / self.feature_extractor.sampling_rate:.1f} s: at most "
                f"{self.feature_extractor.chunk_length} s are heard, cut it"
            )
        samples = np.pad(samples, (0, max(0, _MIN_SAMPLES - len(samples))))
        # On its own and unpadded: what the model was trained on.
        heard = self.feature_extractor(
            samples,
            sampling_rate=self.feature_extractor.sampling_rate,
            padding="do_not_pad",
            truncation=False,
            return_tensors="np",
        )
        return np.asarray(heard["input_features"][0], dtype=np.float32)


def _clips(audio: Any) -> list[Any]:
    if audio is None:
        return []
    if isinstance(audio, list | tuple) and not (audio and isinstance(audio[0], float | int)):
        return list(audio)
    return [audio]


def _resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample by cutting (or filling) the spectrum."""
    if rate == wanted or len(samples) == 0:
        return samples
    length = round(len(samples) * wanted / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(length // 2 + 1, dtype=spectrum.dtype)
    size = min(len(kept), len(spectrum))
    kept[:size] = spectrum[:size]
    return (np.fft.irfft(kept, n=length) * (length / len(samples))).astype(np.float32)
