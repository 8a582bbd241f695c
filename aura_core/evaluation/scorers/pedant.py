"""Equivalence of short answers as PEDANTS judges it (arXiv 2402.11161), through qa_metrics."""

from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.statistic import Statistic, mean

# Another release has other classifiers, which judge otherwise.
RELEASE = "0.2.42"
_CLASSIFIERS = ("lr_classifier", "tf-idf_vectorizer", "rule_classifier", "type_classifier")
# It pins a scikit-learn that does not go with numpy 2, and leaves out some of what it imports.
_HOW = (
    f"pip install --no-deps qa_metrics=={RELEASE} && "
    "pip install contractions joblib nltk requests scikit-learn scipy, "
    "then once, online: python -c 'from qa_metrics.pedant import PEDANT; PEDANT()'"
)


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
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
