"""Every scorer by its name."""

from collections.abc import Callable

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
    perplexity,
    refusal,
    response,
    slu_f1,
    squad,
    transcript,
)
from aura_core.evaluation.scorers.scorer import Score, Scorer
from aura_core.evaluation.scorers.versions import SCORER_VERSIONS


def _scorer(name: str, score: Score, primary: str, require: Callable[[], object] = bool) -> Scorer:
    return Scorer(name, SCORER_VERSIONS[name], score, primary, require)


_ALL = (
    _scorer("wer", transcript.score, "wer"),
    _scorer("meaning", response.score, "exact_match"),
    _scorer("choice", choice.score, "acc"),
    _scorer("exist_match", exist_match.score, "exist_match"),
    _scorer("squad", squad.score, "f1"),
    _scorer("instructions", instructions.score, "prompt_strict"),
    _scorer("refusal", refusal.score, "refusal_rate"),
    _scorer("bbh", bbh.score, "acc"),
    _scorer("bleu", bleu.score, "bleu"),
    _scorer("intent", intent.score, "intent_accuracy"),
    _scorer("slu_f1", slu_f1.score, "slu_f1"),
    _scorer("pedant", pedant.score, "pedant", pedant.load_matcher),
    _scorer("judge", judge.score, "judge_score", judge.named_judge),
    _scorer("perplexity", perplexity.score, "perplexity"),
)
SCORERS: dict[str, Scorer] = {scorer.name: scorer for scorer in _ALL}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]
