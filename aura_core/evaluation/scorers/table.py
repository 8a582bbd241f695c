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

SCORERS: dict[str, Scorer] = {
    "wer": Scorer("wer", 1, transcript.score, primary="wer"),
    "meaning": Scorer("meaning", 1, response.score, primary="exact_match"),
    "choice": Scorer("choice", 1, choice.score, primary="acc"),
    "exist_match": Scorer("exist_match", 1, exist_match.score, primary="exist_match"),
    "squad": Scorer("squad", 1, squad.score, primary="f1"),
    "instructions": Scorer("instructions", 1, instructions.score, primary="prompt_strict"),
    "refusal": Scorer("refusal", 1, refusal.score, primary="refusal_rate"),
    "bbh": Scorer("bbh", 1, bbh.score, primary="acc"),
    "bleu": Scorer("bleu", 1, bleu.score, primary="bleu"),
    "intent": Scorer("intent", 1, intent.score, primary="intent_accuracy"),
    "slu_f1": Scorer("slu_f1", 1, slu_f1.score, primary="slu_f1"),
    "pedant": Scorer("pedant", 1, pedant.score, primary="pedant"),
    "judge": Scorer("judge", 1, judge.score, primary="judge_score"),
}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]
