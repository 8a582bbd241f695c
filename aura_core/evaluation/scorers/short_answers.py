"""Spoken question answering by short answers: held, equal or equivalent to an accepted one."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import regex

from aura_core.errors import AuraError
from aura_core.evaluation.bootstrap import Statistic, mean
from aura_core.evaluation.scorers.scorer import Prediction

# Spans of tokens.


def holds(tokens: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` stands in `tokens` without a gap; an empty part never does."""
    if not part:
        return False
    return any(tokens[i : i + len(part)] == part for i in range(len(tokens) - len(part) + 1))


_TOKEN = regex.compile(r"[\p{L}\p{N}\p{M}]+|[^\p{Z}\p{C}]")


def score_exist_match(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Share of outputs that hold any reference as a span of tokens.

    The rule of open-domain question answering (DPR, arXiv 2004.04906): text in Unicode NFD and
    lower case, tokens are runs of letters, digits and marks, or single other characters. A
    reference without a token is never found.
    """
    return {"exist_match": mean([_is_found(prediction) for prediction in predictions])}


def tokenise(text: str) -> list[str]:
    """Tokens in lower case, combining marks apart from their letters."""
    return list(_TOKEN.findall(unicodedata.normalize("NFD", text).lower()))


def _is_found(prediction: Prediction) -> bool:
    said = tokenise(prediction.prediction)
    return any(holds(said, tokenise(reference)) for reference in prediction.references)


# Extractive question answering as SQuAD v1.1 scores it (arXiv 1606.05250).

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def score_squad(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Exact match and word F1, each against the reference that suits best."""
    return {
        "em": mean([max(exact(p.prediction, r) for r in p.references) for p in predictions]),
        "f1": mean([max(word_f1(p.prediction, r) for r in p.references) for p in predictions]),
    }


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and superfluous white space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(output: str, reference: str) -> float:
    """1 if both are the same once normalised, else 0."""
    return float(normalise(output) == normalise(reference))


def word_f1(output: str, reference: str) -> float:
    """Harmonic mean of precision and recall of words; 0 where none is shared."""
    said, expected = normalise(output).split(), normalise(reference).split()
    shared = sum((Counter(said) & Counter(expected)).values())
    return 2 * shared / (len(said) + len(expected)) if shared else 0.0


# Equivalence of short answers as PEDANTS judges it (arXiv 2402.11161), through qa_metrics.

# Another release has other classifiers, which judge otherwise.
RELEASE = "0.2.42"
_CLASSIFIERS = ("lr_classifier", "tf-idf_vectorizer", "rule_classifier", "type_classifier")
# It pins a scikit-learn that does not go with numpy 2, and leaves out some of what it imports.
_HOW = (
    f"pip install --no-deps qa_metrics=={RELEASE} && "
    "pip install contractions joblib nltk requests scikit-learn scipy, "
    "then once, online: python -c 'from qa_metrics.pedant import PEDANT; PEDANT()'"
)


def score_pedant(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Share of outputs that PEDANTS takes for one of the references.

    An item has its question as text in `extra["question"]`. Nothing is downloaded.

    Raises:
        AuraError: if qa_metrics or its classifiers are not there, or an item has no question.
    """
    matcher = load_matcher()
    return {"pedant": mean([_is_right(matcher, prediction) for prediction in predictions])}


def _is_right(matcher: Any, prediction: Prediction) -> bool:
    question = prediction.extra.get("question")
    if not isinstance(question, str):
        raise AuraError(f"{prediction.id} has no question in its extra: pedant needs it")
    return bool(matcher.evaluate(list(prediction.references), prediction.prediction, question))


@lru_cache(maxsize=1)
def load_matcher() -> Any:
    """PEDANTS as qa_metrics has it. Raises AuraError saying what to install, if it is not there."""
    spec = util.find_spec("qa_metrics")
    if spec is None or not spec.submodule_search_locations:
        raise AuraError(f"pedant needs qa_metrics: {_HOW}")
    if (found := metadata.version("qa_metrics")) != RELEASE:
        raise AuraError(f"pedant needs qa_metrics {RELEASE}, not {found}: {_HOW}")
    folder = Path(spec.submodule_search_locations[0]) / "classifier"
    missing = [name for name in _CLASSIFIERS if not (folder / f"{name}.pkl").exists()]
    if missing:
        raise AuraError(f"pedant needs the classifier {missing[0]} of qa_metrics: {_HOW}")
    try:
        from qa_metrics.pedant import PEDANT

        return PEDANT()
    except (ImportError, AttributeError, ValueError) as error:
        raise AuraError(f"qa_metrics cannot be used here ({error}): {_HOW}") from error
