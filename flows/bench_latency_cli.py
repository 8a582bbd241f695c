"""`aura bench latency`, `streaming` and `serve`: what a user waits for."""

from flows.bench_runs import made, show
from flows.options import AsJson, Count, Selection, Several


def latency(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (1, 5, 15, 30),
    batches: Several[int] = (1, 8),
    rounds: Count = 10,
    models: Several[str] = (),
    as_json: AsJson = False,
) -> None:
    """Time to the first token, FLOPs, memory: AuRA, a bridge, a cascade and text on one LLM.

    Nothing is trained for it, as time does not depend on what weights say. The speech is the
    selected run's, joined and cut to length; its ingest stage is run if needed. See
    docs/latency.md.

      aura bench latency --seconds 1 5 --batches 1 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    batches:
        Clips at once.
    rounds:
        Rounds with other clips each, in which the models take turns.
    models:
        Some of aura_merged, aura_gated, aura_dense, bridge, cascade, text_in.
        [default: all]
    as_json:
        A table; ttft_5s.vs_cascade, .vs_bridge, .vs_text_prefill (AuRA's time over theirs).
    """
    from aura_core.bench.latency import bench_latency, check_settings
    from aura_core.bench.latency_models import MODELS

    names = models or MODELS
    check_settings(seconds, batches, rounds, names)
    ingest = made(selection, "ingest")["ingest"]
    result = bench_latency(
        ingest.uri,
        selection.load(),
        seconds=seconds,
        batches=batches,
        rounds=rounds,
        names=names,
    )
    show(result, as_json)


def streaming(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (5, 15, 30),
    chunk_positions: int | None = None,
    rounds: Count = 10,
    as_json: AsJson = False,
) -> None:
    """Time to the first token after the end of speech: heard as it arrives, and all at once.

    Nothing is trained for it, and the speech is that of `bench latency`. See docs/latency.md.

      aura bench streaming --seconds 5 15 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    chunk_positions:
        Audio positions of a chunk. [default: those of the config, or 10 where it has none]
    rounds:
        Rounds with other clips each, in which lengths and both ways take turns.
    as_json:
        A table; ttft_30s_vs_5s, whole_ttft_30s_vs_5s, streaming_vs_whole.
    """
    from aura_core.bench.streaming import bench_streaming, check_lengths, streaming_config

    config = selection.load()
    check_lengths(streaming_config(config.distil, chunk_positions), seconds, rounds)
    ingest = made(selection, "ingest")["ingest"]
    result = bench_streaming(
        ingest.uri, config, seconds=seconds, chunk_positions=chunk_positions, rounds=rounds
    )
    show(result, as_json)


def serve(
    *,
    selection: Selection = Selection(),  # noqa: B008 - frozen
    seconds: Several[float] = (1, 5, 15, 30),
    rounds: Count = 20,
    as_json: AsJson = False,
) -> None:
    """Time to the first token through the endpoint of `aura serve`, beside the library call.

    One untrained student, asked in turns. The speech is the selected run's, joined and cut to
    length; its ingest stage is run if needed. See docs/serving.md.

      aura bench serve --seconds 1 5 --rounds 4

    Parameters
    ----------
    seconds:
        Lengths of clips, at most 30.
    rounds:
        Rounds of each length, with another clip each.
    as_json:
        ttft_vs_library (the largest of all lengths), and a table.
    """
    from aura_core.bench.latency import AURA, check_settings

    check_settings(seconds, [1], rounds, [AURA])
    ingest = made(selection, "ingest")["ingest"]
    from aura_core.bench.serving import bench_serve

    show(bench_serve(ingest.uri, selection.load(), seconds=seconds, rounds=rounds), as_json)
