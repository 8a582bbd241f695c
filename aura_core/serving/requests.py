"""What a chat completion is asked with: the part of OpenAI's request that means something here."""

import base64
import binascii
import io
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from aura_core.corpus.audio import BadAudioError, decode_file
from aura_core.serving.errors import ApiError
from aura_core.turns import MAX_CLIP_S, Audio, Turn

# Asked for, an answer of ours would not be what the client expects. None and these are the same.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "tools": ([],),
    "functions": ([],),
    "logprobs": (False,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}


class TextPart(BaseModel):
    """Words."""

    type: Literal["text"]
    text: str


class InputAudio(BaseModel):
    """A file that soundfile reads, whatever `format` calls it."""

    data: str
    format: str = "wav"


class AudioPart(BaseModel):
    """Speech."""

    type: Literal["input_audio"]
    input_audio: InputAudio


Part = Annotated[TextPart | AudioPart, Field(discriminator="type")]


class Message(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: list[Part]

    @field_validator("content", mode="before")
    @classmethod
    def _as_parts(cls, content: Any) -> Any:
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A chat completion. What only shapes sampling is taken and has no effect: we are greedy."""

    model: str
    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _asks_for_nothing_else(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, neutral in _NEUTRAL.items():
                if data.get(name) is not None and data[name] not in neutral:
                    raise ValueError(f"{name}: not supported, leave it out")
        return data

    @field_validator("messages")
    @classmethod
    def _are_to_be_answered(cls, messages: list[Message]) -> list[Message]:
        if messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        for message in messages:
            heard = any(isinstance(part, AudioPart) for part in message.content)
            if heard and message.role != "user":
                raise ValueError(f"audio belongs to the user, not to role {message.role}")
        return messages

    @property
    def limit(self) -> int | None:
        """The longest answer in tokens; both names mean it."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Strings that end the answer."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [each for each in stops if each]


def to_turns(messages: list[Message]) -> list[Turn]:
    """Decode the audio of messages.

    Raises:
        ApiError: naming the part whose audio cannot be used.
    """
    return [
        Turn(
            "system" if message.role == "developer" else message.role,
            tuple(
                part.text
                if isinstance(part, TextPart)
                else _decode(part, f"messages.{number}.content.{place}.input_audio.data")
                for place, part in enumerate(message.content)
            ),
        )
        for number, message in enumerate(messages)
    ]


def _decode(part: AudioPart, where: str) -> Audio:
    try:
        encoded = base64.b64decode(part.input_audio.data, validate=True)
    except binascii.Error as error:
        raise ApiError(400, f"{where}: not base64", code="invalid_audio", param=where) from error
    try:
        return decode_file(io.BytesIO(encoded), MAX_CLIP_S).audio
    except BadAudioError as error:
        raise ApiError(400, f"{where}: {error}", code="invalid_audio", param=where) from error
