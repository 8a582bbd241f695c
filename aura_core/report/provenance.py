"""What ran: every stage's address, settings, counts and measurements, and what a split is."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aura_core.artifacts import store
from aura_core.artifacts.manifest import Manifest, require_manifest
from aura_core.evaluation.items import BENCHMARK
from aura_core.ingest.source_item import REJECTED_NAME
from aura_core.ingest.utterances import read_table
from aura_core.report.labels import benchmark_title, model_label, split_task
from aura_core.stages import STAGES

# What each split is, in a line: what is new about it, and who speaks.

# What the demo corpus says in its splits.
_DEMO = {
    "heldout": "sentences that were not trained on",
    "phrasing": "ways of asking that were not trained on",
    "voice": "sentences that were not trained on",
    "human": "telephone prompts that a person has read, not trained on",
}
_GIVEN = {"heldout": "kept out of the training"}
_MAX_NAMED = 3


def describe_splits(ingest_uri: str, tasks: Iterable[str]) -> dict[str, str]:
    """Explain the splits of the corpus that figures are about.

    Args:
        ingest_uri: its artifact.
        tasks: of result rows, `transcribe/heldout` or a benchmark's; of these there is nothing.

    Returns:
        Split -> its explanation, sorted by name.

    Raises:
        AuraError: if the artifact is incomplete.
    """
    is_demo = require_manifest(ingest_uri).identity.get("manifest") is None
    speakers: dict[str, set[str | None]] = {}
    for row in read_table(ingest_uri, columns=["split", "speaker"]).to_pylist():
        speakers.setdefault(row["split"], set()).add(row["speaker"])
    trained_on = speakers.get("train", set())
    asked = sorted({split_task(task)[1] for task in tasks} & speakers.keys())
    texts = _DEMO if is_demo else _GIVEN
    return {
        split: "; ".join(
            filter(
                None,
                (
                    texts.get(split, "as its manifest names it"),
                    _voices(speakers[split], trained_on),
                ),
            )
        )
        for split in asked
    }


def _voices(found: set[str | None], trained_on: set[str | None]) -> str:
    """Who speaks, and whether training has heard them; empty where the corpus does not say."""
    named = sorted(filter(None, found))
    if not named:
        return ""
    many = len(named) > _MAX_NAMED
    who = f"{len(named)} voices" if many else f"spoken by {' and '.join(named)}"
    strange = set(named) - trained_on
    if not strange:
        return f"{who}, {_a_voice(named)} of the training"
    if len(strange) < len(named):
        return f"{who}, some of them new after training"
    return f"{who}, {_a_voice(named)} that training never heard"


def _a_voice(named: list[str]) -> str:
    return "a voice" if len(named) == 1 else "voices"


@dataclass(frozen=True)
class StageSummary:
    """One artifact the page was made from."""

    stage: str
    title: str
    fingerprint: str
    created_at: str
    counts: dict[str, str]
    settings: dict[str, str]
    metrics: dict[str, str]


@dataclass(frozen=True)
class Rejection:
    """Utterances turned away for one reason."""

    reason: str
    count: int
    examples: list[str]


def summarise_stages(inputs: Mapping[str, str]) -> list[StageSummary]:
    """Summarise the input artifacts (role -> URI), in the order of the pipeline."""
    order = list(STAGES)
    ordered = sorted(inputs, key=lambda name: order.index(name.partition(".")[0]))
    return [_summarise(require_manifest(inputs[name]), stage_title(name)) for name in ordered]


def stage_title(name: str) -> str:
    """What an input is called: a stage, a further student, or a benchmark."""
    if name.startswith(BENCHMARK):
        return benchmark_title(name.removeprefix(BENCHMARK))
    _, *student = name.split(".")
    if not student:
        return STAGES[name].title
    model, seed = student
    return f"{model_label(model).title}, seed {seed}"


def library_versions(inputs: Mapping[str, str]) -> dict[str, str]:
    """Library versions and code revision, as the evaluation's manifest has them."""
    return dict(require_manifest(inputs["evaluate"]).provenance)


def rejections(ingest_uri: str, examples: int = 3) -> list[Rejection]:
    """Rejected utterances by reason, the most frequent first."""
    uri = store.join(ingest_uri, REJECTED_NAME)
    if not store.exists(uri):
        return []
    records = [json.loads(line) for line in store.read_text(uri).split("\n") if line.strip()]
    counts = Counter(str(record["reason"]) for record in records)
    return [
        Rejection(
            reason, count, [str(r["id"]) for r in records if str(r["reason"]) == reason][:examples]
        )
        for reason, count in counts.most_common()
    ]


def _summarise(manifest: Manifest, title: str) -> StageSummary:
    return StageSummary(
        stage=manifest.stage,
        title=title,
        fingerprint=manifest.fingerprint,
        created_at=manifest.provenance.get("created_at", ""),
        counts={_words(name): f"{count:,}" for name, count in manifest.counts.items()},
        settings=flatten(manifest.identity),
        metrics={} if manifest.stage == "evaluate" else flatten(manifest.metrics),
    )


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """Flatten nested JSON to `a.b[0].c` -> text; lists of plain values stay on one line."""
    if isinstance(value, Mapping) and value:
        items = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        items = [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    else:
        return {path: _plain(value)}
    flat: dict[str, str] = {}
    for name, item in items:
        flat |= flatten(item, name)
    return flat


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False)


def _words(name: str) -> str:
    return name.replace("_", " ")
