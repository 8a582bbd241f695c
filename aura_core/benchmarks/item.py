"""One question of a benchmark: what is said, what is asked of it, what counts as right."""

from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True)
class BenchmarkItem:
    id: str
    text: str
    prompt_text: str
    references: tuple[str, ...]
    audio: bytes
    choices: dict[str, str] | None = None
    extra: dict[str, JsonValue] = field(default_factory=dict)
    duration_s: float = 0.0
