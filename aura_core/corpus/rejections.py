"""What is left out: written by name, counted by kind, refused when it is too much."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from aura_core.artifacts import store
from aura_core.corpus.source_item import Rejection
from aura_core.errors import AuraError

_SHOWN = 5


def write_rejections(uri: str, rejections: Iterable[Rejection]) -> None:
    """Publish a part's rejections so that a later run can count them again."""
    store.write_text(uri, "".join(json.dumps(asdict(each)) + "\n" for each in rejections))


def read_rejections(uri: str) -> list[Rejection]:
    """Read what `write_rejections` wrote."""
    return [Rejection(**json.loads(line)) for line in store.read_text(uri).splitlines()]


def write_report(uri: str, rejections: Iterable[Rejection]) -> None:
    """Publish `rejected.jsonl`: id, path and reason of each."""
    store.write_text(uri, "".join(json.dumps(each.as_json()) + "\n" for each in rejections))


def count_kinds(rejections: Iterable[Rejection]) -> dict[str, int]:
    """Rejections by kind, the most frequent first."""
    return dict(Counter(each.kind for each in rejections).most_common())


def check_share(rejections: Sequence[Rejection], num_listed: int, max_share: float) -> None:
    """Raise AuraError if too many utterances are rejected, naming why and the first few."""
    count = len(rejections)
    if count <= max_share * num_listed:
        return
    kinds = ", ".join(f"{kind} ({n})" for kind, n in list(count_kinds(rejections).items())[:3])
    names = "; ".join(f"{each.id}: {each.reason}" for each in rejections[:_SHOWN])
    raise AuraError(
        f"{count} of {num_listed} utterances ({count / num_listed:.1%}) are rejected, more than "
        f"the allowed {100 * max_share:g}%: {kinds}; first: {names}; mend them or raise "
        "--set ingest.max_rejected_share=..."
    )
