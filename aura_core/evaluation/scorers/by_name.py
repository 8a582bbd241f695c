"""Every scorer by its name."""

from collections.abc import Callable

from aura_core.config.benchmarks import SCORER_VERSIONS
from aura_core.errors import AuraError
from aura_core.evaluation.scorers.choice import score_bbh, score_choice
from aura_core.evaluation.scorers.instructions import score_instructions
from aura_core.evaluation.scorers.meaning import score_intent, score_meaning, score_slu_f1
from aura_core.evaluation.scorers.open_answers import named_judge, score_judge, score_refusal
from aura_core.evaluation.scorers.scorer import Score, Scorer
from aura_core.evaluation.scorers.short_answers import (
    load_matcher,
    score_exist_match,
    score_pedant,
    score_squad,
)
from aura_core.evaluation.scorers.transcript import score_bleu, score_perplexity, score_wer


def _scorer(name: str, score: Score, primary: str, require: Callable[[], object] = bool) -> Scorer:
    return Scorer(name, SCORER_VERSIONS[name], score, primary, require)


_ALL = (
    _scorer("wer", score_wer, "wer"),
    _scorer("meaning", score_meaning, "exact_match"),
    _scorer("choice", score_choice, "acc"),
    _scorer("exist_match", score_exist_match, "exist_match"),
    _scorer("squad", score_squad, "f1"),
    _scorer("instructions", score_instructions, "prompt_strict"),
    _scorer("refusal", score_refusal, "refusal_rate"),
    _scorer("bbh", score_bbh, "acc"),
    _scorer("bleu", score_bleu, "bleu"),
    _scorer("intent", score_intent, "intent_accuracy"),
    _scorer("slu_f1", score_slu_f1, "slu_f1"),
    _scorer("pedant", score_pedant, "pedant", load_matcher),
    _scorer("judge", score_judge, "judge_score", named_judge),
    _scorer("perplexity", score_perplexity, "perplexity"),
)
SCORERS: dict[str, Scorer] = {scorer.name: scorer for scorer in _ALL}


def find_scorer(name: str) -> Scorer:
    """The scorer of a name. Raises AuraError if there is none, with the names there are."""
    if name not in SCORERS:
        raise AuraError(f"no scorer {name!r}: there are {', '.join(SCORERS)}")
    return SCORERS[name]
