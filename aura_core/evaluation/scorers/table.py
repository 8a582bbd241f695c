"""Every scorer by its name."""

from aura_core.errors import AuraError
from aura_core.evaluation.scorers import (
    bbh,
    bleu,
    choice,
    exist_match,
    instructions,
    intent,
    judge,
    pedant,
    refusal,
    response,
    slu_f1,
    squad,
    transcript,
)
from aura_core.evaluation.scorers.scorer import Scorer
from aura_core.evaluation.scorers.versions import SCORER_VERSIONS

_RULES = {
    "wer": (transcript.score, "wer"),
    "meaning": (response.score, "exact_match"),
    "choice": (choice.score, "acc"),
    "exist_match": (exist_match.score, "exist_match"),
    "squad": (squad.score, "f1"),
    "instructions": (instructions.score, "prompt_strict"),
    "refusal": (refusal.score, "refusal_rate"),
    "bbh": (bbh.score, "acc"),
    "bleu": (bleu.score, "bleu"),
    "intent": (intent.score, "intent_accuracy"),
    "slu_f1": (slu_f1.score, "slu_f1"),
    "pedant": (pedant.score, "pedant"),
    "judge": (judge.score, "judge_score"),
}
SCORERS: dict[str, Scorer] = {
    name: Scorer(name, SCORER_VERSIONS[name], score, primary)
    for name, (score, primary) in _RULES.items()
}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]
