"""The page of `aura demo`: speak, and see what each model makes of it."""

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from aura_core.chat.run_models import HeldOut
from aura_core.evaluation.items import Item, load_items, tasks_by_split
from aura_core.evaluation.question_sets import CORPUS, TRANSCRIPTION, QuestionSet
from aura_core.report.look import BASE_CSS
from aura_core.serving.errors import ApiError

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
        return [_described(split, item) for split, item in samples()]

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


def _described(split: str, item: Item) -> dict[str, Any]:
    return {
        "split": split,
        "said": item.text,
        "question": item.instruction,
        "expected": item.references[0],
        "duration_s": item.duration_s,
    }
