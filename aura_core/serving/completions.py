"""`POST /v1/chat/completions`: a request and its checks, and an answer, whole or as it comes."""

import asyncio
import base64
import binascii
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from aura_core.chat.reply import ChatModel, Reply, TooManyPositionsError
from aura_core.config.stage import MAX_CLIP_S
from aura_core.errors import AuraError
from aura_core.ingest.audio import BadAudioError, decode_file
from aura_core.serving.worker import BusyError, Job, Worker
from aura_core.speech_check import has_speech
from aura_core.turns import Audio, Turn, clips

# Errors as OpenAI's clients read them: `{"error": {message, type, param, code}}`.

_CLIENT_CLOSED_REQUEST = 499


class ApiError(Exception):
    """A request that is not answered; `param` names the field at fault, if one is."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        """What the client is told."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        told = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": told}


def of_validation(error: ValidationError) -> ApiError:
    """The first thing that is wrong with a request's fields."""
    first = error.errors()[0]
    where = ".".join(map(str, _fields(first["loc"])))
    reason = first["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{where}: {reason}" if where else reason, param=where or None)


def _fields(loc: Sequence[int | str]) -> Iterator[int | str]:
    """A place without the kinds of content parts, which follow their number in a list."""
    for before, part in zip([None, *loc], loc, strict=False):
        if not (isinstance(before, int) and part in ("text", "input_audio")):
            yield part


def add_error_handlers(app: FastAPI) -> None:
    """Have everything that goes wrong told in one shape."""

    @app.exception_handler(ApiError)
    def refused(_request: Request, error: ApiError) -> Response:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(HTTPException)
    def unknown(_request: Request, error: HTTPException) -> Response:
        told = ApiError(error.status_code, str(error.detail))
        return JSONResponse(told.body, error.status_code, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)

    @app.exception_handler(Exception)
    def crashed(_request: Request, error: Exception) -> Response:
        # The server's log has the traceback; a client has no use for its words.
        told = ApiError(500, f"the server failed ({type(error).__name__})")
        return JSONResponse(told.body, told.status)


# What a chat completion is asked with: the part of OpenAI's request that means something here.

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


# The longest answer where a request names none.
MAX_NEW_TOKENS = 256

T = TypeVar("T")
# Pieces of the answer, and last what was decoded, with its counts.
Event = str | Reply


def answer(
    models: Mapping[str, ChatModel], asked: ChatRequest, turns: list[Turn]
) -> Iterator[Event]:
    """Yield the pieces of an answer and then the reply itself.

    The answer to clips in which nobody speaks is empty, whatever the model.

    Raises:
        ApiError: if the model cannot be loaded, or cannot go on with these turns.
    """
    last = clips(turns[-1:])
    if last and not any(map(has_speech, last)):
        yield _nothing()
        return
    try:
        model = models[asked.model]
    except AuraError as error:
        raise ApiError(500, f"model {asked.model!r} cannot be loaded: {error}") from error
    try:
        reply = model.reply(turns, asked.limit or MAX_NEW_TOKENS, asked.stops)
    except TooManyPositionsError as error:
        raise ApiError(400, str(error), code="context_length_exceeded", param="messages") from error
    except AuraError as error:
        raise ApiError(400, str(error), param="messages") from error
    yield from reply
    yield reply


def _nothing() -> Reply:
    """An empty answer that no model was asked for."""
    reply = Reply(iter([0]), prompt_tokens=0, decode=lambda _ids: "", end_ids=(0,))
    list(reply)
    return reply


async def complete(
    request: Request, asked: ChatRequest, worker: Worker, make: Callable[[], Iterator[Event]]
) -> Response:
    """Answer; whoever hangs up frees the model for the next.

    Raises:
        ApiError: if too many requests wait, or as `answer` says.
        ClientDisconnect: if the client went away before there was an answer.
    """
    try:
        job = worker.start(make)
    except BusyError as error:
        raise ApiError(429, str(error), code="queue_full") from error
    completion = _Completion(asked)
    events = aiter(job)
    try:
        # Headers wait for the first piece, so that an error still has its status.
        first = await _unless_gone(request, _next(events))
        if asked.stream:
            return _EventStream(job, completion.chunks(first, events))
        return JSONResponse(await _unless_gone(request, completion.whole(first, events)))
    except BaseException:
        job.cancel()
        raise


@dataclass(frozen=True)
class _Completion:
    """The shapes of OpenAI's answers to one request."""

    asked: ChatRequest
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    async def whole(self, first: Event, events: AsyncIterator[Event]) -> dict[str, Any]:
        pieces, event = [], first
        while isinstance(event, str):
            pieces.append(event)
            event = await anext(events)
        message = {"role": "assistant", "content": "".join(pieces), "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": event.finish_reason,
            "logprobs": None,
        }
        return self._body("chat.completion", [choice], usage=_usage(event))

    async def chunks(self, first: Event, events: AsyncIterator[Event]) -> AsyncIterator[str]:
        """Server-sent events; the first one has the role and the first piece."""
        event, role = first, {"role": "assistant", "content": ""}
        try:
            while isinstance(event, str):
                yield self._chunk({**role, "content": event})
                role = {}
                event = await anext(events)
        except Exception as error:  # noqa: BLE001 - the status is sent, this is all that is left
            yield _sent(ApiError(500, f"the server failed ({type(error).__name__})").body)
            return
        yield self._chunk(role, event.finish_reason)
        if self.asked.stream_options and self.asked.stream_options.include_usage:
            yield _sent(self._body("chat.completion.chunk", [], usage=_usage(event)))
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return _sent(self._body("chat.completion.chunk", [choice]))

    def _body(self, kind: str, choices: list[Any], **more: Any) -> dict[str, Any]:
        named = {"id": self.id, "object": kind, "created": self.created, "model": self.asked.model}
        return {**named, "choices": choices, **more}


class _EventStream(StreamingResponse):
    """Server-sent events that take their job with them, even if they were never begun."""

    def __init__(self, job: Job[Event], chunks: AsyncIterator[str]) -> None:
        super().__init__(
            chunks, media_type="text/event-stream", headers={"Cache-Control": "no-cache"}
        )
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._job.cancel()


def _sent(body: dict[str, Any]) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`, and for no longer than the client does. Raises ClientDisconnect."""
    wanted = asyncio.ensure_future(work)
    hangs_up = asyncio.ensure_future(_hangs_up(request))
    try:
        await asyncio.wait((wanted, hangs_up), return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        raise ClientDisconnect
    finally:
        wanted.cancel()
        hangs_up.cancel()


async def _hangs_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
