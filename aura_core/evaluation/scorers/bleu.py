"""Translation: corpus BLEU, computed by sacrebleu (arXiv 1804.08771)."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Floats, Statistic

# Languages without spaces between words; 13a for all others.
_TOKENISERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Corpus BLEU, 0 to 100, against all references.

    `extra["target_language"]`, such as `de` or `zh-CN`, chooses the tokeniser.

    Raises:
        AuraError: if a tokeniser is not installed.
    """
    columns = [_counts(prediction) for prediction in predictions]
    width = 2 + 2 * MAX_NGRAM_ORDER
    return {"bleu": Statistic(np.array(columns, dtype=np.float64).reshape(-1, width), of_sums)}


def of_sums(sums: Floats) -> Floats:
    """Corpus BLEU from [..., 10]: output and reference length, matches and n-grams by order.

    NaN where there is nothing to translate.
    """
    flat = sums.reshape(-1, sums.shape[-1])
    return np.array([_bleu(row) for row in flat], dtype=np.float64).reshape(sums.shape[:-1])


def _bleu(row: Floats) -> float:
    output_length, reference_length, *counts = (round(value) for value in row.tolist())
    if reference_length == 0:
        return float("nan")
    return BLEU.compute_bleu(
        correct=counts[:MAX_NGRAM_ORDER],
        total=counts[MAX_NGRAM_ORDER:],
        sys_len=output_length,
        ref_len=reference_length,
        smooth_method="exp",
    ).score


def _counts(prediction: Prediction) -> list[int]:
    language = str(prediction.extra.get("target_language") or "")
    metric = _metric(_TOKENISERS.get(language.replace("_", "-").partition("-")[0].lower(), "13a"))
    found = metric.sentence_score(prediction.prediction, list(prediction.references))
    return [found.sys_len, found.ref_len, *found.counts, *found.totals]


@lru_cache(maxsize=8)
def _metric(tokeniser: str) -> BLEU:
    try:
        # Effective order changes the score of a sentence, which is not used, not its counts.
        return BLEU(tokenize=tokeniser, effective_order=True)
    except RuntimeError as error:
        extra = tokeniser.partition("-")[0]
        raise AuraError(f"BLEU needs {tokeniser}: pip install 'sacrebleu[{extra}]'") from error
