"""A model to ask about audio: a trained artifact, or an exported folder."""

from collections.abc import Callable

from aura_core.chat.load import load_chat
from aura_core.chat.reply import ChatModel
from aura_core.speech_check import has_speech
from aura_core.turns import Audio, Turn

# (audio at 16 kHz of at most 30 s, instruction, longest answer in tokens) -> answer
Listener = Callable[[Audio, str, int], str]


def load_listener(uri: str) -> Listener:
    """Load a distil artifact, or a folder that `aura_core.export.folder` wrote.

    Raises:
        AuraError: if it is neither.
    """
    return as_listener(load_chat(uri))


def as_listener(model: ChatModel) -> Listener:
    """Return what asks a model about one clip; where nobody speaks the answer is empty."""

    def ask(audio: Audio, instruction: str, max_new_tokens: int) -> str:
        if not has_speech(audio):
            return ""
        return "".join(model.reply([Turn("user", (audio, instruction))], max_new_tokens))

    return ask
