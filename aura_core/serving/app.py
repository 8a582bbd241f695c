"""The application: OpenAI's endpoints around the models of a run, and the page of `aura demo`."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.middleware.trustedhost import TrustedHostMiddleware

from aura_core.chat.reply import ChatModel
from aura_core.chat.run_models import HeldOut
from aura_core.evaluation.items import (
    CORPUS,
    TRANSCRIPTION,
    Item,
    QuestionSet,
    load_items,
    tasks_by_split,
)
from aura_core.report.labels import BASE_CSS
from aura_core.serving.completions import (
    ApiError,
    ChatRequest,
    add_error_handlers,
    answer,
    complete,
    of_validation,
    to_turns,
)
from aura_core.serving.worker import Worker

# The page of `aura demo`: speak, and see what each model makes of it.

STATIC = Path(__file__).parent / "static"
# Held-out clips to choose from, of each split.
SAMPLES_PER_SPLIT = 8
_POLICY = "default-src 'self'; media-src 'self' blob:; img-src 'self' data:"


def add_page(app: FastAPI, held_out: HeldOut | None) -> None:
    """Add `/`, its files and `/samples` to an application of `create_app`.

    Args:
        app: with the models that the page asks.
        held_out: where its samples come from; None: it has none.
    """
    samples = cache(lambda: [] if held_out is None else read_samples(held_out))

    @app.get("/")
    def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": _POLICY})

    @app.get("/samples")
    def list_samples() -> list[dict[str, Any]]:
        return [_described_sample(split, item) for split, item in samples()]

    @app.get("/samples/{number}")
    def audio(number: int) -> Response:
        if not 0 <= number < len(samples()):
            raise ApiError(404, f"there are {len(samples())} samples")
        return Response(samples()[number][1].flac, media_type="audio/flac")

    @app.get("/base.css")
    def base_css() -> Response:
        return FileResponse(BASE_CSS)

    app.mount("/static", StaticFiles(directory=STATIC))


def read_samples(held_out: HeldOut) -> list[tuple[str, Item]]:
    """Return clips of every split with its name, each with the question that it is asked."""
    samples = []
    for split, tasks in tasks_by_split(held_out.ingest_uri, held_out.splits).items():
        task = next((each for each in tasks if each != TRANSCRIPTION), TRANSCRIPTION)
        questions = QuestionSet(f"{task}/{split}", CORPUS, "", task, split)
        items = load_items(held_out.ingest_uri, questions, SAMPLES_PER_SPLIT)
        samples += [(split, item) for item in items]
    return samples


def _described_sample(split: str, item: Item) -> dict[str, Any]:
    return {
        "split": split,
        "said": item.text,
        "question": item.instruction,
        "expected": item.references[0],
        "duration_s": item.duration_s,
    }


# Two turns of 30 s at 48 kHz in stereo, 16 bits, in base64, and room for words.
MAX_BODY_BYTES = 32 << 20
MAX_WAITING = 32
# Names a browser on this machine may call it by: no other page's may be made to mean it.
LOOPBACK_NAMES = ("127.0.0.1", "localhost")


def create_app(
    models: Mapping[str, ChatModel],
    *,
    api_key: str | None = None,
    hosts: Sequence[str] = LOOPBACK_NAMES,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_waiting: int = MAX_WAITING,
) -> FastAPI:
    """Return an ASGI application.

    Args:
        models: by name; one that is not loaded is on its first request.
        api_key: what `Authorization: Bearer` must hold on /v1; None: nothing is asked.
        hosts: names in the Host header that are answered; "*" for any.
        max_body_bytes: larger requests are refused with 413.
        max_waiting: requests that may wait behind the one that is answered.
    """
    worker = Worker(max_waiting)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    app = FastAPI(title="aura", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    add_error_handlers(app)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    app.include_router(_routes(models, worker, max_body_bytes, _key_check(api_key)))
    return app


def _routes(
    models: Mapping[str, ChatModel],
    worker: Worker,
    max_body_bytes: int,
    check_key: Callable[[Request], None],
) -> APIRouter:
    routes = APIRouter(prefix="/v1", dependencies=[Depends(check_key)])

    @routes.get("/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_described(name) for name in models]}

    @routes.get("/models/{name}")
    def one_model(name: str) -> dict[str, Any]:
        return _described(_known(name, models))

    @routes.post("/chat/completions")
    async def chat_completions(request: Request) -> Response:
        asked = _parse(request, await _body(request, max_body_bytes))
        _known(asked.model, models)
        turns = await asyncio.to_thread(to_turns, asked.messages)
        return await complete(request, asked, worker, partial(answer, models, asked, turns))

    return routes


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "aura"}


def _known(name: str, models: Mapping[str, ChatModel]) -> str:
    if name not in models:
        raise ApiError(
            404,
            f"no model {name!r} here, only {', '.join(models)}",
            code="model_not_found",
            param="model",
        )
    return name


async def _body(request: Request, max_bytes: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ApiError(
                413, f"the request has more than {max_bytes} bytes", code="request_too_large"
            )
    return b"".join(parts)


def _parse(request: Request, body: bytes) -> ChatRequest:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A browser sends anything else to another site without asking it first.
    if kind != "application/json":
        raise ApiError(400, "send JSON, with the header Content-Type: application/json")
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise of_validation(error) from error


def _key_check(api_key: str | None) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        if api_key is None:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        same = secrets.compare_digest(given.strip().encode(), api_key.encode())
        if scheme.lower() != "bearer" or not same:
            raise ApiError(
                401, "no valid API key: send Authorization: Bearer KEY", code="invalid_api_key"
            )

    return check
