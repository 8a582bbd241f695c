"""Load a model to talk to: a trained artifact, or an exported folder."""

import json

from pydantic import ValidationError

from aura_core.artifacts import store
from aura_core.artifacts.reach import require_reachable
from aura_core.chat.reply import ChatModel
from aura_core.config import EvaluateConfig
from aura_core.errors import AuraError
from aura_core.student.file_names import TRAIN_CONFIG
from aura_core.train_config import TrainConfig


def is_model(uri: str) -> bool:
    """Whether `load_chat` takes it. Raises AuraError if it is out of reach or damaged."""
    require_reachable(uri)
    if store.exists(store.join(uri, TRAIN_CONFIG)):
        return True
    config = store.join(uri, "config.json")
    if not store.exists(config):
        return False
    try:
        settings = json.loads(store.read_text(config))
    except ValueError as error:
        raise AuraError(f"{config} is no JSON ({error}): write the model anew") from error
    return isinstance(settings, dict) and settings.get("model_type") == "aura"


def load_chat(uri: str) -> ChatModel:
    """Load a distil artifact (AuRA or a bridge), or a folder of `aura_core.export.folder`.

    Raises:
        AuraError: if it is neither, or hears nothing.
    """
    if not is_model(uri):
        raise AuraError(f"{uri} is no model: name a distil artifact or a folder of `aura export`")
    if not store.exists(store.join(uri, TRAIN_CONFIG)):
        from aura_core.chat.folder import FolderChat

        with store.local_folder(uri) as folder:
            return FolderChat(folder)
    try:
        config = TrainConfig.model_validate_json(store.read_text(store.join(uri, TRAIN_CONFIG)))
    except ValidationError as error:
        raise AuraError(
            f"{uri}/{TRAIN_CONFIG} is damaged or of another version of aura: train the model anew"
        ) from error
    if config.input != "audio":
        raise AuraError(f"{uri} is a text LoRA, which hears nothing: name a distil artifact")
    from aura_core.chat.students import HearingChat
    from aura_core.device import device_for
    from aura_core.student.inference import load_student

    student, chat, ear = load_student(uri, device_for(None))
    assert ear is not None
    return HearingChat(student, chat, ear)


def load_cascade(text_lora_uri: str, ingest_uri: str, config: EvaluateConfig) -> ChatModel:
    """Load the cascade of an evaluation: its ASR, in the spelling of the corpus, and text LLM."""
    from aura_core.chat.students import CascadeChat
    from aura_core.device import device_for
    from aura_core.evaluation.items import texts
    from aura_core.evaluation.question_sets import CORPUS
    from aura_core.evaluation.transcriber import Spelling, Transcriber
    from aura_core.models.whisper_encoder import load_whisper
    from aura_core.student.inference import load_student

    device = device_for(None)
    student, chat, _ = load_student(text_lora_uri, device)
    spelling = Spelling.of(texts(ingest_uri, CORPUS))
    return CascadeChat(student, chat, Transcriber(load_whisper(config.asr, device), spelling))
