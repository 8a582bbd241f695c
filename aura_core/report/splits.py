"""What each split is, in a line: what is new about it, and who speaks."""

from collections.abc import Iterable

from aura_core.artifacts.manifest import require_manifest
from aura_core.corpus.table import read_table
from aura_core.report.labels import split_task

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
