"""Multiple choice: the letter of an option, found in whatever way it is given."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from aura_core.errors import AuraError
from aura_core.evaluation.predictions import Prediction
from aura_core.evaluation.scorers.parsed import Parsed, accuracies
from aura_core.evaluation.scorers.spans import holds
from aura_core.evaluation.statistic import Statistic

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


def score(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
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
