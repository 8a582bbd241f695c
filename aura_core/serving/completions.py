"""`POST /v1/chat/completions`: from a request to an answer, whole or as it comes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from aura_core.chat.reply import ChatModel, Reply, TooManyPositionsError
from aura_core.errors import AuraError
from aura_core.serving.errors import ApiError
from aura_core.serving.requests import ChatRequest
from aura_core.serving.worker import BusyError, Job, Worker
from aura_core.speech_check import has_speech
from aura_core.turns import Turn, clips

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
