"""The four BIG-Bench Hard tasks of VoiceBench, each with its own way to answer."""

import re
from collections.abc import Callable, Sequence

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.choice import extract_letter
from aura_core.evaluation.scorers.parsed import Parsed, accuracies
from aura_core.evaluation.statistic import Statistic

YES, NO = "yes", "no"
# Where `no` says nothing.
_IDIOM = re.compile(r"\bno (?:doubt|longer|matter|one|problem|question)\b")
_DECLARED = re.compile(r"\banswer\b(?: is| would be| should be|:| =)*\W*(yes|no)\b")

# What says no, then what says yes: a task's own words, tried where neither word is said.
_PLAUSIBLE = (
    r"\b(?:implausible|not (?:\w+ ){0,2}plausible|unlikely|not (?:\w+ )?possible|improbable)\b",
    r"\bplausible\b|\blikely\b|\bpossible\b",
)
_RETURNS = (
    r"(?:\bnot|n't|\bnever) (?:\w+ ){0,2}(?:return|end up|back)\b|\b(?:away|far) from the start",
    r"\b(?:returns?|returned|back|end up)\b.{0,20}\b(?:start|starting|origin|original)\b",
)
_TRUTHFUL = (
    r"\b(?:lies|lying|liar|not (?:tell|telling) the truth)\b|n't (?:tell|telling) the truth\b",
    r"\b(?:tells?|telling) the truth\b",
)


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Accuracy of the answers found.

    VoiceBench's public scorer knows the answers of the models it was written for by heart, and
    reads a bare `b` as option (A); this one has a few rules for each task.

    Raises:
        AuraError: if an item is of no known task, or has a reference its task does not have.
    """
    return accuracies([_parse(prediction) for prediction in predictions])


def extract_yes_no(answer: str, patterns: tuple[str, str]) -> str | None:
    """Find a yes or no: declared, first word, last word, the only one, or in the task's words.

    Args:
        answer: what the model wrote.
        patterns: what says no and what says yes, in lower case.
    """
    text = " ".join(answer.replace("\u2019", "'").casefold().split())
    text = _IDIOM.sub(" ", text)
    declared = {match[1] for match in _DECLARED.finditer(text)}
    words = re.findall(r"[\w']+", text)
    alone = {word for word in words if word in (YES, NO)}
    for found in (declared, set(words[:1]) & alone, set(words[-1:]) & alone, alone):
        if found:
            return found.pop() if len(found) == 1 else None
    negative, positive = (re.compile(pattern) for pattern in patterns)
    if negative.search(text):
        # Both at once, `not plausible ... but plausible`, is no answer.
        return None if positive.search(negative.sub(" ", text)) else NO
    return YES if positive.search(text) else None


def _yes_no(patterns: tuple[str, str]) -> Callable[[str], str | None]:
    return lambda answer: extract_yes_no(answer, patterns)


def _option(answer: str) -> str | None:
    return extract_letter(answer, {"A": "", "B": ""})


# Task -> how its answer is found, and what it can be.
_TASKS: dict[str, tuple[Callable[[str], str | None], tuple[str, ...]]] = {
    "hyperbaton": (_option, ("A", "B")),
    "navigate": (_yes_no(_RETURNS), (YES, NO)),
    "sports_understanding": (_yes_no(_PLAUSIBLE), (YES, NO)),
    "web_of_lies": (_yes_no(_TRUTHFUL), (YES, NO)),
}


def _parse(prediction: Prediction) -> Parsed:
    said = str(prediction.extra.get("task") or prediction.id)
    task = next((name for name in _TASKS if said.startswith(name)), None)
    if task is None:
        raise AuraError(f"{prediction.id} is of no task of bbh ({', '.join(_TASKS)}): {said!r}")
    extract, options = _TASKS[task]
    expected = prediction.references[0].strip(" ().")
    expected = next((option for option in options if option.lower() == expected.lower()), "")
    if not expected:
        raise AuraError(
            f"{prediction.id}: {prediction.references[0]!r} is no answer of {task}, "
            f"only {' and '.join(options)}"
        )
    return Parsed(prediction.id, expected, extract(prediction.prediction), options)
