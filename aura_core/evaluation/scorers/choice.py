"""Multiple choice: the option or the yes or no that an answer means, however it is given."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from aura_core.errors import AuraError
from aura_core.evaluation.bootstrap import Statistic, mean
from aura_core.evaluation.scorers.scorer import Prediction
from aura_core.evaluation.scorers.short_answers import holds

# Accuracy of answers that first have to be found in what a model wrote.


@dataclass(frozen=True)
class Parsed:
    """One item: what was asked for, what was found, and what could have been."""

    id: str
    expected: str
    found: str | None
    options: tuple[str, ...]


def accuracies(items: Sequence[Parsed]) -> dict[str, Statistic]:
    """`acc` (unparsed is wrong), `acc_random_fallback` and `parse_fail`.

    The fallback draws an option for an unparsed answer, as VoiceBench's public scorer does
    (arXiv 2410.17196), but seeded by the item's id: the same item always draws the same one.
    """
    return {
        "acc": mean([item.found == item.expected for item in items]),
        "acc_random_fallback": mean(
            [(item.found or _draw(item)) == item.expected for item in items]
        ),
        "parse_fail": mean([item.found is None for item in items]),
    }


def _draw(item: Parsed) -> str:
    return random.Random(item.id).choice(sorted(item.options))


_VERB = r"(?:is|was|would\s+be|should\s+be|must\s+be|will\s+be|:|=)"
_CUES = (
    rf"\b(?:answer|choice|option|letter)s?(?:\s+[^.,;:\n]{{1,40}}?)?\s*{_VERB}+\s*:?",
    r"answer",
    r"\bi(?:'d|\s+would)?\s+(?:say|choose|pick|select|guess|go\s+(?:with|for))",
    r"\bi(?:'m|\s+am)\s+going\s+(?:with|for)",
    r"\bit(?:'s|\s+is|\s+would\s+be)",
)
_IS_RIGHT = r"(?:is|would\s+be|seems)\s+(?:the\s+)?(?:correct|right|best|true|answer|most)\b"
_KIND = r"(?:\s*(?:the\s+)?(?:option|choice|letter))?"
_OPEN, _CLOSE = r"[\s(\[{*\"'`_]*", r"[)\]}*\"'`_]*"
# What may follow a lower-case `a` that is a letter and not an article.
_AFTER_WORD = r"(?=\s*(?:$|[.,;:!?)\]}*\"'`\n]|(?:because|since|as|or|and)\b))"
_WRONG = r"\b(?:wrong|incorrect|false)\b"
_REJECTED = re.compile(
    r"\W*(?:is|are|was|would\s+be|isn't|seems)?\s*(?:not|n't|wrong|incorrect|false|out)\b", re.I
)


def score_choice(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Accuracy of the chosen letters.

    Raises:
        AuraError: if an item has no choices, or a reference that is none of their letters.
    """
    return accuracies([_parse(prediction) for prediction in predictions])


def extract_letter(answer: str, choices: Mapping[str, str]) -> str | None:
    """Find the one option that an answer names.

    In this order: the answer, or a line of it, is a letter; a letter is said to be the answer;
    an option is named; a letter stands apart, as in `(B)` or `B.`; the answer holds the text of
    one option. The first of these that finds anything decides: two different letters are no
    answer. An article is not a letter, and an option that is said to be wrong is not chosen.

    Args:
        answer: what the model wrote.
        choices: letter -> text; the letters in capitals.

    Returns:
        The letter in capitals, or None.
    """
    text = answer.replace("\u2019", "'").strip()
    for pattern in _patterns("".join(sorted(choices))):
        found = _letters(pattern, text, choices)
        if found:
            return found.pop() if len(found) == 1 else None
    return _by_text(text, choices)


def _parse(prediction: Prediction) -> Parsed:
    if not prediction.choices:
        raise AuraError(f"{prediction.id} has no choices: it cannot be scored as multiple choice")
    choices = {letter.strip().upper(): text for letter, text in prediction.choices.items()}
    expected = prediction.references[0].strip(" ().").upper()
    if expected not in choices:
        raise AuraError(
            f"{prediction.id}: the reference {prediction.references[0]!r} is none of "
            f"{', '.join(choices)}"
        )
    found = extract_letter(prediction.prediction, choices)
    return Parsed(prediction.id, expected, found, tuple(choices))


@lru_cache(maxsize=64)
def _patterns(letters: str) -> tuple[re.Pattern[str], ...]:
    """The ways to name a letter, the clearest first."""
    # A small letter that is also a word needs something after it that no article has.
    words = "".join(c for c in letters if c in "AI")
    plain = "".join(c for c in letters if c not in "AI")
    small = f"{plain.lower()}" if plain else ""
    named = rf"(?:(?P<upper>[{letters}])\b"
    named += rf"|(?P<small>[{small}])\b" if small else ""
    named += rf"|(?P<word>[{words.lower()}]){_AFTER_WORD}" if words else ""
    named += ")"
    either = f"[{letters}{letters.lower()}]"
    return (
        re.compile(rf"(?m)^[\W_]*(?:(?:option|choice|answer)\W+)?(?P<only>{either})[\W_]*$"),
        *(re.compile(f"(?i:{cue}){_KIND_I}{_OPEN}{named}") for cue in _CUES),
        re.compile(rf"\b(?P<right>[{letters}]){_CLOSE}\s+(?i:{_IS_RIGHT})"),
        re.compile(rf"(?i:\b(?:option|choice|letter)){_OPEN}{named}"),
        re.compile(
            rf"[(\[{{>](?P<inside>{either})[)\]}}<]|\*\*(?P<bold>{either})\W?\*\*"
            rf"|(?:^|\n)\W*(?P<start>{either})[).:,]"
        ),
    )


_KIND_I = f"(?i:{_KIND})"


def _letters(pattern: re.Pattern[str], text: str, choices: Mapping[str, str]) -> set[str]:
    """Every letter that a pattern finds and that is not rejected in the same breath."""
    found = set()
    for match in pattern.finditer(text):
        rest = text[match.end() :]
        is_wrong = re.search(rf"(?i){_WRONG}\s*$", text[: match.start()])
        if is_wrong or re.search(f"(?i){_WRONG}", match[0]) or _REJECTED.match(rest):
            continue
        found.add(_letter(match))
        also = re.match(
            rf"{_CLOSE}\s*(?:,|/|or|and|&)\s*(?i:either\s+|option\s+)?[(\[]?([{''.join(choices)}])\b",
            rest,
        )
        if also:
            found.add(also[1])
    return found


def _letter(match: re.Match[str]) -> str:
    return next(value for value in match.groupdict().values() if value).upper()


def _by_text(text: str, choices: Mapping[str, str]) -> str | None:
    """The option whose text the answer is, or the only one whose text it holds."""
    said = _words(text)
    options = {letter: _words(option) for letter, option in choices.items()}
    held = {letter: words for letter, words in options.items() if words and holds(said, words)}
    # Of `green` and `dark green` the longer was meant.
    longest = {
        letter
        for letter, words in held.items()
        if not any(len(other) > len(words) and holds(other, words) for other in held.values())
    }
    return longest.pop() if len(longest) == 1 else None


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


# The four BIG-Bench Hard tasks of VoiceBench, each with its own way to answer.

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


def score_bbh(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Accuracy of the answers found.

    VoiceBench's public scorer knows the answers of the models it was written for by heart, and
    reads a bare `b` as option (A); this one has a few rules for each task.

    Raises:
        AuraError: if an item is of no known task, or has a reference its task does not have.
    """
    return accuracies([_parse_task(prediction) for prediction in predictions])


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


def _parse_task(prediction: Prediction) -> Parsed:
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
