"""Text against text: word errors, BLEU of translations, and an LLM's perplexity."""

import json
from collections.abc import Sequence
from functools import lru_cache

import jiwer
import numpy as np
from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER
from whisper.normalizers import EnglishTextNormalizer

from aura_core.errors import AuraError
from aura_core.evaluation.bootstrap import Floats, Statistic, quotient, ratio
from aura_core.evaluation.scorers.scorer import Prediction

# Word errors after Whisper's English normaliser.


def normalise(text: str) -> str:
    """Lower case, no punctuation, numbers in digits, American spelling."""
    return str(_normaliser()(text)).strip()


def count_errors(references: Sequence[str], predictions: Sequence[str]) -> tuple[Floats, Floats]:
    """Count word errors and reference words per utterance, both float64 [utterances].

    The corpus WER is the ratio of their sums.
    """
    errors, words = [], []
    for reference, prediction in zip(references, predictions, strict=True):
        edits = _edits(normalise(reference).split(), normalise(prediction).split())
        errors.append(sum(max(len(r), len(p)) for kind, r, p in edits if kind != "equal"))
        words.append(sum(len(r) for _, r, _ in edits))
    return np.array(errors, dtype=np.float64), np.array(words, dtype=np.float64)


def _edits(reference: list[str], prediction: list[str]) -> list[tuple[str, list[str], list[str]]]:
    if not reference or not prediction:
        kind = "delete" if reference else "insert"
        return [(kind, reference, prediction)] if reference or prediction else []
    chunks = jiwer.process_words(" ".join(reference), " ".join(prediction)).alignments[0]
    return [
        (
            str(chunk.type),
            reference[chunk.ref_start_idx : chunk.ref_end_idx],
            prediction[chunk.hyp_start_idx : chunk.hyp_end_idx],
        )
        for chunk in chunks
    ]


@lru_cache(maxsize=1)
def _normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def score_wer(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Corpus WER against the first reference, both after Whisper's English normaliser."""
    references = [prediction.references[0] for prediction in predictions]
    outputs = [prediction.prediction for prediction in predictions]
    return {"wer": ratio(*count_errors(references, outputs))}


# Translation: corpus BLEU, computed by sacrebleu (arXiv 1804.08771).

# Languages without spaces between words; 13a for all others.
_TOKENISERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}


def score_bleu(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Corpus BLEU, 0 to 100, against all references.

    `extra["target_language"]`, such as `de` or `zh-CN`, chooses the tokeniser.

    Raises:
        AuraError: if a tokeniser is not installed.
    """
    columns = [_ngram_counts(prediction) for prediction in predictions]
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


def _ngram_counts(prediction: Prediction) -> list[int]:
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


# Perplexity: how many tokens an LLM hesitates between, on average, at each token of a text.


def score_perplexity(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """`perplexity` per token, over all texts together: exp(sum of nats / sum of tokens).

    A prediction is `{"nats": ..., "tokens": ...}`, as `aura_core.evaluation.models` writes it.
    Models with different tokenizers cannot be compared by it.

    Raises:
        AuraError: for a prediction that is none.
    """
    counts = [_token_counts(prediction) for prediction in predictions]
    columns = ratio([nats for nats, _ in counts], [tokens for _, tokens in counts]).columns
    return {"perplexity": Statistic(columns, _perplexity)}


def _perplexity(sums: Floats) -> Floats:
    result: Floats = np.exp(quotient(sums))
    return result


def _token_counts(prediction: Prediction) -> tuple[float, float]:
    try:
        said = json.loads(prediction.prediction)
        return float(said["nats"]), float(said["tokens"])
    except (ValueError, TypeError, KeyError) as error:
        raise AuraError(
            f"{prediction.id}: the prediction is no likelihood: delete its cell and run again"
        ) from error
