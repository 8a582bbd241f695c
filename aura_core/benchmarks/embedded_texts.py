"""The texts of the embedded benchmarks: what is said or read, what is asked, what is right."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import xxhash
import yaml

from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.run import DemoCorpusConfig
from aura_core.ingest.grammar import DEMO_INSTRUCTION, grammar_text, parse_grammar, plan_corpus

CHOOSE = "Answer with the letter of the right option."
_NUM_REQUESTS = 30


@dataclass(frozen=True)
class EmbeddedText:
    """One question before it is spoken, if it is; the fields are those of a BenchmarkItem."""

    id: str
    text: str
    prompt_text: str
    references: tuple[str, ...]
    choices: dict[str, str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def texts_of(name: str) -> list[EmbeddedText]:
    """The texts of an embedded benchmark, in their own order."""
    return TEXTS[name]()


def source_text(name: str) -> str:
    """The file an embedded benchmark is made from, which pins its content."""
    source = SOURCES[name]
    return grammar_text() if source is None else _packaged(source)


def _transcription() -> list[EmbeddedText]:
    lines: list[str] = _load("sentences.yaml")
    return [
        EmbeddedText(f"sentence-{number:03d}", line, TRANSCRIBE, (line,))
        for number, line in enumerate(lines)
    ]


def _requests() -> list[EmbeddedText]:
    """Requests that the demo corpus keeps out of training."""
    utterances = plan_corpus(parse_grammar(grammar_text()), DemoCorpusConfig())
    heldout = [each for each in utterances if each.split == "heldout"][:_NUM_REQUESTS]
    return [
        EmbeddedText(
            f"request-{number:03d}",
            each.sentence.text,
            DEMO_INSTRUCTION,
            (meaning,),
            extra={"family": each.sentence.family},
        )
        for number, each in enumerate(heldout)
        if (meaning := each.sentence.meaning) is not None
    ]


def _choice() -> list[EmbeddedText]:
    return [
        replace(each, text=_with_options(each, "Option {}, {}", ". ", end="."))
        for each in _choice_questions()
    ]


def _written_choice() -> list[EmbeddedText]:
    return [
        replace(each, text=_with_options(each, "{}. {}", "\n", start="\n"))
        for each in _choice_questions()
    ]


def _with_options(
    each: EmbeddedText, option: str, between: str, start: str = " ", end: str = ""
) -> str:
    listed = between.join(option.format(*choice) for choice in (each.choices or {}).items())
    return f"{each.text}?{start}{listed}{end}"


def _choice_questions() -> list[EmbeddedText]:
    """The bare questions."""
    rows: list[list[str]] = _load("choice.yaml")
    return [_choice_question(f"choice-{number:03d}", *row) for number, row in enumerate(rows)]


def _choice_question(id_: str, question: str, right: str, *wrong: str) -> EmbeddedText:
    options = list(wrong)
    place = xxhash.xxh3_64_intdigest(id_.encode()) % (len(wrong) + 1)
    options.insert(place, right)
    choices = dict(zip(string.ascii_uppercase, options, strict=False))
    return EmbeddedText(id_, question, CHOOSE, (string.ascii_uppercase[place],), choices)


def _facts() -> list[EmbeddedText]:
    answers: Mapping[str, list[str]] = _load("facts.yaml")
    return [
        EmbeddedText(f"fact-{number:03d}", question, "", tuple(right))
        for number, (question, right) in enumerate(answers.items())
    ]


def _instructions() -> list[EmbeddedText]:
    rows: list[dict[str, Any]] = _load("instructions.yaml")
    return [
        EmbeddedText(
            f"instruction-{number:03d}",
            row["ask"],
            "",
            # No one answer is right: what is shown of it are the checks.
            ("; ".join(row["checks"]),),
            extra={
                "instruction_id_list": list(row["checks"]),
                "kwargs": list(row["checks"].values()),
            },
        )
        for number, row in enumerate(rows)
    ]


def _passages() -> list[EmbeddedText]:
    """Prose to be read as it stands; it is its own reference."""
    passages: list[str] = _load("passages.yaml")
    return [
        EmbeddedText(f"passage-{number:03d}", passage, "", (passage,))
        for number, passage in enumerate(passages)
    ]


def _load(name: str) -> Any:
    return yaml.safe_load(_packaged(name))


def _packaged(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


TEXTS: dict[str, Callable[[], list[EmbeddedText]]] = {
    "spoken_transcription": _transcription,
    "spoken_requests": _requests,
    "spoken_choice": _choice,
    "spoken_facts": _facts,
    "spoken_instructions": _instructions,
    "text_perplexity": _passages,
    "text_choice": _written_choice,
    "text_facts": _facts,
    "text_instructions": _instructions,
}

# None: the demo corpus's own grammar.
SOURCES: dict[str, str | None] = {
    "spoken_transcription": "sentences.yaml",
    "spoken_requests": None,
    "spoken_choice": "choice.yaml",
    "spoken_facts": "facts.yaml",
    "spoken_instructions": "instructions.yaml",
    "text_perplexity": "passages.yaml",
    "text_choice": "choice.yaml",
    "text_facts": "facts.yaml",
    "text_instructions": "instructions.yaml",
}
