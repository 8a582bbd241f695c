"""Time to the first token through the served endpoint, beside the library call that it makes."""

import base64
import io
import json
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import soundfile
from tqdm import tqdm

from aura_core.bench.latency import AURA, check_settings
from aura_core.bench.latency_models import LatencyModels
from aura_core.bench.measure import Speech, in_turns, median_ratio
from aura_core.chat.reply import ChatModel
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.run import Config
from aura_core.ingest.utterances import SAMPLE_RATE
from aura_core.serving.app import create_app
from aura_core.serving.listen import in_background
from aura_core.turns import Audio, Turn

# Some untrained answers begin in the middle of a character: its other tokens come soon after.
NEW_TOKENS = 8
LIBRARY, ENDPOINT = "library", "endpoint"
# Seconds from a clip to the first piece of the answer to it.
Timed = Callable[[Audio], float]


def bench_serve(
    ingest_uri: str, config: Config, *, seconds: Sequence[float], rounds: int
) -> dict[str, Any]:
    """Time one untrained student in turns: called, and served on this machine.

    The call starts from samples; the client from a WAV file's bytes, which it encodes and sends
    over a connection it keeps, and the server decodes.

    Args:
        ingest_uri: an ingest artifact; its training clips are joined and cut to length.
        config: `distil` and `teacher_cache` say what the student is.
        seconds: lengths of clips, at most 30.
        rounds: how many of each length, each with another clip.

    Returns:
        `ttft_vs_library` (the largest of the lengths' ratios, each the median over rounds),
        `table` (a row a length), and what it was measured on.

    Raises:
        AuraError: for a length or a number of rounds that cannot be.
    """
    check_settings(seconds, [1], rounds, [AURA])
    speech = Speech(ingest_uri)
    latency_models = LatencyModels(config.distil, config.teacher_cache, config.evaluate.asr, speech)
    model = latency_models.chat()
    with in_background(create_app({AURA: model})) as url, httpx.Client(timeout=None) as client:
        ways: dict[str, Timed] = {
            LIBRARY: lambda audio: _called_s(model, audio),
            ENDPOINT: lambda audio: _asked_s(client, url, audio),
        }
        table = [_row(ways, speech, length, rounds) for length in seconds]
    return {
        "ttft_vs_library": max(row["vs_library"] for row in table),
        "table": table,
        "rounds": rounds,
        **latency_models.measured_on,
    }


def _row(ways: dict[str, Timed], speech: Speech, seconds: float, rounds: int) -> dict[str, Any]:
    times: dict[str, list[float]] = {way: [] for way in ways}
    for timed in ways.values():
        timed(speech.clips(seconds, 1, 0).audios[0])
    for number in tqdm(range(rounds), desc=f"serve, {seconds:g} s", unit="round"):
        [audio] = speech.clips(seconds, 1, number).audios
        for way in in_turns(list(ways), number):
            times[way].append(ways[way](audio))
    shown = {f"{way}_p50_ms": round(1000 * median(each), 2) for way, each in times.items()}
    ratio = median_ratio(times[ENDPOINT], times[LIBRARY])
    return {"seconds": seconds, **shown, "vs_library": round(ratio, 3)}


def _called_s(model: ChatModel, audio: Audio) -> float:
    began = perf_counter()
    pieces = iter(model.reply([Turn("user", (audio, TRANSCRIBE))], NEW_TOKENS))
    next(pieces, None)
    first_s = perf_counter() - began
    # To its end, as the endpoint's: both leave the machine in the same state.
    list(pieces)
    return first_s


def _asked_s(client: httpx.Client, url: str, audio: Audio) -> float:
    file = io.BytesIO()
    soundfile.write(file, audio, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    began = perf_counter()
    data = base64.b64encode(file.getvalue()).decode()
    content = [
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        {"type": "text", "text": TRANSCRIBE},
    ]
    body = {
        "model": AURA,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": NEW_TOKENS,
        "stream": True,
    }
    with client.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        events = (json.loads(line[6:]) for line in response.iter_lines() if line[6:7] == "{")
        next(events)
        first_s = perf_counter() - began
        list(events)
    return first_s
