"""A model to ask about audio: a trained artifact, or an exported folder."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aura_core.artifacts import store
from aura_core.corpus.table import SAMPLE_RATE
from aura_core.errors import AuraError

# (audio at 16 kHz of at most 30 s, instruction, longest answer in tokens) -> answer
Listener = Callable[[NDArray[np.float32], str, int], str]


def load_listener(uri: str) -> Listener:
    """Load a distil artifact, or a folder that `aura_core.export.folder` wrote.

    Raises:
        AuraError: if it is neither.
    """
    if store.exists(store.join(uri, "train_config.json")):
        return _of_artifact(uri)
    config = store.join(uri, "config.json")
    if store.exists(config) and json.loads(store.read_text(config)).get("model_type") == "aura":
        return _of_folder(uri)
    raise AuraError(f"{uri} is no model: name a distil artifact or a folder of `aura export`")


def _of_artifact(uri: str) -> Listener:
    from aura_core.student.inference import load_responder
    from aura_core.student.prompts import Prompt

    responder = load_responder(uri)

    def ask(audio: NDArray[np.float32], instruction: str, max_new_tokens: int) -> str:
        prompt = Prompt(instruction, input_features=responder.listen([audio])[0])
        return responder.generate([prompt], max_new_tokens)[0]

    return ask


def _of_folder(uri: str) -> Listener:
    from transformers import AutoConfig

    from aura_core.export.remote.configuration_aura import AuraConfig
    from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
    from aura_core.export.remote.processing_aura import AuraProcessor

    # So that our own code is taken, and the user not asked whether to run the folder's.
    AutoConfig.register("aura", AuraConfig, exist_ok=True)
    with store.local_folder(uri) as folder:
        model = AuraForConditionalGeneration.from_pretrained(folder)
        processor = AuraProcessor.from_pretrained(folder)

    def ask(audio: NDArray[np.float32], instruction: str, max_new_tokens: int) -> str:
        content = [{"type": "audio"}, {"type": "text", "text": instruction}]
        turns: Any = [{"role": "user", "content": content}]
        text = processor.apply_chat_template(turns, add_generation_prompt=True)
        inputs = processor(text=text, audio=audio, sampling_rate=SAMPLE_RATE)
        ids = model.generate(**inputs, max_new_tokens=max_new_tokens)
        answer = ids[0, inputs["input_ids"].shape[1] :]
        return str(processor.tokenizer.decode(answer, skip_special_tokens=True)).strip()

    return ask
