from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    name: str
    version: int
    scorer: str
    slices: tuple[str, ...]
    max_new_tokens: int
    layout: str


def _e(name, scorer, slices, n):
    return Benchmark(name, 1, scorer, slices, n, "embedded")


BENCHMARKS = {
    b.name: b
    for b in (
        _e("spoken_transcription", "wer", ("condition",), 48),
        _e("spoken_requests", "meaning", ("condition", "family"), 48),
        _e("spoken_choice", "choice", ("condition",), 16),
        _e("spoken_facts", "exist_match", ("condition",), 32),
        _e("spoken_instructions", "instructions", ("condition",), 160),
    )
}


def benchmark_mistake(name, source):
    return None if name in BENCHMARKS else "unknown"
