"""A trained student as a model folder that transformers loads without this project."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    WhisperFeatureExtractor,
)

from aura_core.artifacts import store
from aura_core.config.train import (
    ADAPTER,
    AUDIO_EMBEDDING,
    ENCODER,
    HANDOVER,
    TEXT_ADAPTER,
    TRAIN_CONFIG,
    TrainConfig,
)
from aura_core.device import Precision, compute_dtype, device_for, precision_name
from aura_core.errors import AuraError
from aura_core.evaluation.find import AUTO_PRECISION, ORIGIN, newest_evaluation_of
from aura_core.export.remote.configuration_aura import AuraConfig
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.models.llm import load_llm
from aura_core.student.assembly import load_adapter, merge_adapter
from aura_core.student.audio_embedding import FIXED_FLOOR, MelPairs, stem_like

# A chat template whose messages may hold audio, around one that knows text only.

# Parts are joined by a line break, as the training prompt has the audio and its instruction.
_FLATTEN = """\
{%- set flat = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- set parts = namespace(texts=[]) -%}
{%- if message['content'] is string -%}
{%- set parts.texts = [message['content']] -%}
{%- else -%}
{%- for part in message['content'] or [] -%}
{%- set parts.texts = parts.texts + ['AUDIO_TOKEN' if part['type'] == 'audio' else part['text']] -%}
{%- endfor -%}
{%- endif -%}
{%- set flat.messages = flat.messages + [dict(message, content=parts.texts | join('\\n'))] -%}
{%- endfor -%}
{%- set messages = flat.messages -%}
"""


def with_audio(template: str, audio_token: str) -> str:
    """Return `template` behind a preamble that turns content parts into one string.

    A message's content may then be a string, or a list of `{"type": "audio"}` and
    `{"type": "text", "text": ...}` parts; `audio_token` stands where the audio goes.
    """
    return _FLATTEN.replace("AUDIO_TOKEN", audio_token) + template


Mode = Literal["merged", "gated"]
# A, B and the factor of one module.
LoraWeights = tuple[Tensor, Tensor, float]
AUDIO_TOKEN = "<|audio|>"
MAX_NEW_TOKENS = 256

AuraConfig.register_for_auto_class()
AuraForConditionalGeneration.register_for_auto_class("AutoModelForCausalLM")
AuraProcessor.register_for_auto_class("AutoProcessor")


def export_mode(config: TrainConfig, asked: Mode | None) -> Mode:
    """Return the mode a student is exported in.

    LoRA that is on at audio positions only is no one set of weights, and LoRA that is on
    everywhere needs no gate: each student has one exact mode.

    Raises:
        AuraError: if the other one is asked for, or there is nothing to export.
    """
    if config.input != "audio":
        raise AuraError("a text LoRA hears nothing: export a distil artifact")
    if config.audio_embedding.stem == "encoder":
        raise AuraError(
            "a bridge needs the whole speech encoder beside the LLM, and such a folder is not "
            "supported: export a student without one (audio_embedding.stem other than encoder)"
        )
    if config.lora.positions == "audio":
        if asked == "merged":
            raise AuraError(
                "this LoRA is on at audio positions only (lora.positions=audio); merged into the "
                "weights it would change what the LLM makes of text: use --mode gated, or train "
                "with lora.positions=all"
            )
        return "gated"
    if asked == "gated":
        raise AuraError(
            "this LoRA is on at all positions (lora.positions=all), so there is no gate to keep: "
            "use --mode merged"
        )
    return "merged"


def require_empty(folder: Path) -> None:
    """Raise AuraError for a folder, or a file, that is in use."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AuraError(f"{folder} is not an empty folder: name another one, or empty it")


def evaluated_precision(uri: str, root: str, config: TrainConfig) -> Precision:
    """Return in which precision a student was evaluated: in another it gives other answers.

    Args:
        uri: of the distil artifact.
        root: below which its newest evaluation is looked for.
        config: it was trained with; `auto` is what the machine of the evaluation made of it, and
            without an evaluation what this one does.
    """
    if config.precision != "auto":
        return config.precision
    found = newest_evaluation_of(uri, root)
    recorded = found[1].metrics.get(AUTO_PRECISION) if found else None
    return recorded or precision_name(compute_dtype("auto", device_for(None)))


def export_student(
    uri: str,
    folder: Path,
    mode: Mode | None = None,
    precision: Precision | None = None,
    origin: str | None = None,
) -> Mode:
    """Write the model, processor, generation config and code of a `distil` artifact.

    Args:
        uri: of the artifact.
        folder: is made; it must be empty.
        mode: None for the one that is exact.
        precision: of the LLM's weights; None for the one it computes in here.
        origin: goes into the config, for whoever is asked where the model is from.

    Raises:
        AuraError: for a mode that is not exact, a bridge, or a folder that is in use.
    """
    require_empty(folder)
    with store.local_folder(uri) as artifact:
        if not (artifact / TRAIN_CONFIG).exists():
            raise AuraError(f"{uri} holds no trained student: name a distil artifact")
        config = TrainConfig.model_validate_json((artifact / TRAIN_CONFIG).read_text())
        mode = export_mode(config, mode)
        assert not (artifact / ENCODER).exists()
        llm, tokenizer = load_llm(config.llm, torch.float32)
        if (artifact / TEXT_ADAPTER).exists():
            llm = merge_adapter(llm, artifact / TEXT_ADAPTER)
        audio = load_file(artifact / AUDIO_EMBEDDING)
        slots = load_file(artifact / HANDOVER) if (artifact / HANDOVER).exists() else {}
        lora: dict[str, LoraWeights] = {}
        if mode == "merged":
            llm = merge_adapter(llm, artifact / ADAPTER)
        else:
            llm, lora = _beside(llm, artifact / ADAPTER)
    model = _model(config, llm, lora, audio, slots, audio_token_id=_add_audio_token(tokenizer))
    dtype = compute_dtype(precision or config.precision, device_for(None))
    # The weights of the LLM are rounded once, after any merging in fp32.
    model.llm.to(dtype)
    model.config.dtype = dtype
    model.config.text_config.dtype = dtype
    if origin is not None:
        setattr(model.config, ORIGIN, origin)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    _processor(config, tokenizer, model.config).save_pretrained(folder)
    _set_modes(folder)
    return mode


def _set_modes(folder: Path) -> None:
    """Let all files be read by the same people: some writers ask for a mode of their own."""
    mode = (folder / "config.json").stat().st_mode
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(stat.S_IMODE(mode))


def _beside(llm: PreTrainedModel, adapter: Path) -> tuple[PreTrainedModel, dict[str, LoraWeights]]:
    """The LLM as it was, and {module: (A, B, scaling)} of its LoRA."""
    adapted = load_adapter(llm, adapter)
    base: Any = adapted.get_base_model()
    lora = {
        name: (
            base.get_parameter(f"{name}.lora_A.default.weight").detach().clone(),
            base.get_parameter(f"{name}.lora_B.default.weight").detach().clone(),
            module.scaling["default"],
        )
        for name, module in base.named_modules()
        if isinstance(module, LoraLayer)
    }
    return adapted.unload(), lora


def _model(
    config: TrainConfig,
    llm: PreTrainedModel,
    lora: Mapping[str, LoraWeights],
    audio: Mapping[str, Tensor],
    handover: Mapping[str, Tensor],
    audio_token_id: int,
) -> AuraForConditionalGeneration:
    stem = stem_like(audio, config.audio_embedding.token_rate_hz)
    is_patch = isinstance(stem, MelPairs)
    model = AuraForConditionalGeneration(
        AuraConfig(
            text_config=llm.config,
            audio_token_id=audio_token_id,
            stem="patch" if is_patch else "conv",
            num_mel_bins=stem.num_mels,
            stem_width=stem.width,
            max_stem_frames=0 if is_patch else len(audio["stem.positional_embedding"]),
            stride=round(stem.rate_hz / config.audio_embedding.token_rate_hz),
            chunk_positions=config.distillation.seen_positions,
            log_mel_floor=FIXED_FLOOR if config.audio_embedding.log_mel_floor == "fixed" else None,
            gated_lora={name: [len(a), scaling] for name, (a, _, scaling) in lora.items()},
            handover_block=config.lora.blocks if handover else None,
            handover_tokens=len(handover["head.tokens.ids"]) if handover else 0,
            handover_prefix=handover["prefix"].tolist() if handover else None,
        )
    )
    state = {f"llm.{name}": tensor for name, tensor in llm.state_dict().items()}
    for name, (down, up, _) in lora.items():
        state[f"llm.{name}.lora_A.weight"] = down
        state[f"llm.{name}.lora_B.weight"] = up
    state |= {f"audio_embedding.{name}": tensor for name, tensor in audio.items()}
    for name, tensor in handover.items():
        # Which tokens the rows are of, and the prefix, which the config has.
        if name not in ("prefix", "head.tokens.ids"):
            plain = name.removeprefix("head.").removeprefix("tokens.")
            state[f"handover.{plain}"] = tensor
    model.load_state_dict(state)
    return model.eval()


def _add_audio_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Give the audio an id that no text has, after all of the tokenizer's own."""
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [AUDIO_TOKEN]}, replace_extra_special_tokens=False
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return int(tokenizer.added_tokens_encoder[AUDIO_TOKEN])


def _processor(
    config: TrainConfig, tokenizer: PreTrainedTokenizerBase, model: AuraConfig
) -> AuraProcessor:
    template = config.chat_template or tokenizer.chat_template
    template = with_audio(template, AUDIO_TOKEN)
    tokenizer.chat_template = template
    return AuraProcessor(
        WhisperFeatureExtractor(feature_size=model.num_mel_bins),
        tokenizer,
        chat_template=template,
        audio_token=AUDIO_TOKEN,
        stride=model.stride,
    )
