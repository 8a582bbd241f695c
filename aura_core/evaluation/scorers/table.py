"""Every scorer by its name."""

from aura_core.errors import AuraError
from aura_core.evaluation.scorers import response, transcript
from aura_core.evaluation.scorers.scorer import Scorer

SCORERS: dict[str, Scorer] = {
    "wer": Scorer("wer", 1, transcript.score, primary="wer"),
    "meaning": Scorer("meaning", 1, response.score, primary="exact_match"),
}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]
