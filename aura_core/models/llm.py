"""Load a causal LLM and its tokenizer by reference."""

import tempfile
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from aura_core.artifacts.digest import cache_folder
from aura_core.errors import AuraError
from aura_core.models.pinned import locate, pinned_model
from aura_core.models.references import hub_commit, local_path, parse, require_llm_family


def load_llm(
    reference: str, dtype: torch.dtype | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return the LLM in `dtype`, in evaluation mode on the CPU, and its tokenizer.

    A local path is a folder saved by transformers. None leaves the weights as they are stored.

    Raises:
        AuraError: if the reference cannot be resolved or loaded, or is of no known family.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    source, revision = source_of(reference)
    try:
        config = AutoConfig.from_pretrained(source, revision=revision)
        require_llm_family(reference, config.model_type)
        tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            revision=revision,
            dtype=dtype or "auto",
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise AuraError(f"model {reference!r} cannot be loaded as an LLM ({reason})") from error
    model.requires_grad_(False).train(False)
    return model, tokenizer


def max_positions(config: PretrainedConfig) -> int:
    """The longest sequence of an LLM, of which every block sees the whole.

    A sliding window is no part of the masks that a student makes, so nothing may pass it.
    """
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    longest = int(config.max_position_embeddings)
    slides = kinds is None or "sliding_attention" in kinds
    return longest if window is None or not slides else min(longest, int(window))


def source_of(reference: str) -> tuple[str, str | None]:
    """Return what transformers loads an LLM from: a folder or a hub name, and its revision.

    Raises:
        AuraError: if the reference cannot be resolved.
    """
    parsed = parse(reference)
    if parsed.kind == "pinned":
        return str(_dequantised(parsed.name)), None
    if parsed.kind == "hf":
        return parsed.name, hub_commit(parsed)
    if parsed.kind == "path":
        return str(local_path(parsed)), None
    raise AuraError(f"model {reference!r} is not an LLM: use pinned:, hf: or a local folder")


def _dequantised(name: str) -> Path:
    """Return a safetensors copy of a pinned GGUF model, made on first use."""
    gguf = locate(name)
    model = pinned_model(name)
    target = cache_folder() / "dequantised" / model.files[model.weights][:16]
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=target.parent) as folder:
            made = Path(folder) / "model"
            _dequantise(gguf, made)
            try:
                made.rename(target)
            except OSError:
                # Another process was first: its copy is the same.
                if not target.exists():
                    raise
    return target


def _dequantise(gguf: Path, folder: Path) -> None:
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # The weights are plain floats now; with these left, saving is refused.
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]
    del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
