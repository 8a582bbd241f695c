"""Instruction following as IFEval measures it (arXiv 2311.07911)."""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langdetect import DetectorFactory, LangDetectException, detect

from aura_core.errors import AuraError
from aura_core.evaluation.bootstrap import Statistic, mean, ratio
from aura_core.evaluation.scorers.scorer import Prediction

# The 25 verifiable instructions of IFEval (arXiv 2311.07911), each a check of a response.
#
# The checks follow the published ones, two with rules of our own where those need models of a
# language toolkit: sentences end at `.`, `!` or `?` unless after a known abbreviation or an
# initial, and a word in capitals is a run of letters, digits, `'` and `-`.

# Detection samples n-grams at random: the same text must have the same language every time.
DetectorFactory.seed = 0

Arguments = Mapping[str, Any]
Check = Callable[[str, Arguments], bool]

_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "less than": lambda count, bound: count < bound,
    "at least": lambda count, bound: count >= bound,
}
_CONSTRAINED_RESPONSES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Za-z]|mr|mrs|ms|dr|prof|st|jr|sr|inc|ltd|co|vs|etc|e\.g|i\.e|ph\.d|u\.s)\.$", re.I
)


def follows(instruction_id: str, response: str, arguments: Arguments) -> bool:
    """Whether a response follows an instruction; an empty one follows none.

    Raises:
        AuraError: for an instruction there is no check of, or one that lacks an argument.
    """
    if instruction_id not in CHECKS:
        raise AuraError(f"no check of the instruction {instruction_id!r}: there are only IFEval's")
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return bool(response.strip()) and CHECKS[instruction_id](response, given)
    except KeyError as error:
        raise AuraError(f"the instruction {instruction_id!r} lacks {error} in its kwargs") from None


def count_sentences(text: str) -> int:
    """Sentences, of which the last needs no end mark."""
    count, start = 0, 0
    for match in re.finditer(r"[.!?]+[\"')\]\u201d*_]*(?=\s|$)", text):
        sentence = text[start : match.end()]
        if not _ABBREVIATION.search(sentence.rstrip("\"')]\u201d*_")) and re.search(
            r"\w", sentence
        ):
            count, start = count + 1, match.end()
    return count + bool(re.search(r"\w", text[start:]))


def _relates(count: int, relation: str, bound: int) -> bool:
    if relation not in _RELATIONS:
        raise AuraError(f"no relation {relation!r}: there are {', '.join(_RELATIONS)}")
    return _RELATIONS[relation](count, bound)


def _occurrences(word: str, response: str) -> int:
    return len(re.findall(re.escape(word.strip()), response, flags=re.IGNORECASE))


def _has_keywords(response: str, given: Arguments) -> bool:
    return all(_occurrences(keyword, response) for keyword in given["keywords"])


def _has_keyword_often(response: str, given: Arguments) -> bool:
    count = _occurrences(given["keyword"], response)
    return _relates(count, given["relation"], given["frequency"])


def _lacks_words(response: str, given: Arguments) -> bool:
    words = (re.escape(word) for word in given["forbidden_words"])
    return not any(re.search(rf"\b{word}\b", response, re.IGNORECASE) for word in words)


def _has_letter_often(response: str, given: Arguments) -> bool:
    count = Counter(response.lower())[given["letter"].strip().lower()]
    return _relates(count, given["let_relation"], given["let_frequency"])


def _is_in_language(response: str, given: Arguments) -> bool:
    return _is_language(response, given["language"])


def _is_language(response: str, language: str) -> bool:
    """As published, a text without any letter counts as being in every language."""
    try:
        return str(detect(response)) == language
    except LangDetectException:
        return True


def _has_sentences(response: str, given: Arguments) -> bool:
    return _relates(count_sentences(response), given["relation"], given["num_sentences"])


def _has_paragraphs(response: str, given: Arguments) -> bool:
    """Paragraphs stand between dividers of three asterisks; only the outer ones may be empty."""
    paragraphs = [part.strip() for part in re.split(r"\s?\*\*\*\s?", response)]
    if not all(paragraphs[1:-1]):
        return False
    return sum(map(bool, paragraphs)) == int(given["num_paragraphs"])


def _has_words(response: str, given: Arguments) -> bool:
    count = len(re.findall(r"\w+", response))
    return _relates(count, given["relation"], given["num_words"])


def _starts_paragraph(response: str, given: Arguments) -> bool:
    """The n-th paragraph, counted between empty lines, starts with a word."""
    paragraphs = response.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != given["num_paragraphs"] or not 1 <= given["nth_paragraph"] <= count:
        return False
    words = paragraphs[given["nth_paragraph"] - 1].split()
    first = re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'))[0] if words else ""
    return bool(first) and first.lower() == given["first_word"].lower()


def _has_placeholders(response: str, given: Arguments) -> bool:
    return len(re.findall(r"\[.*?\]", response)) >= int(given["num_placeholders"])


def _has_postscript(response: str, given: Arguments) -> bool:
    marker = given["postscript_marker"].strip()
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    return re.search(known.get(marker, re.escape(marker.lower())), response.lower()) is not None


def _has_bullets(response: str, given: Arguments) -> bool:
    bullets = re.findall(r"^\s*(?:\*[^*].*|-.*)$", response, flags=re.MULTILINE)
    return len(bullets) == int(given["num_bullets"])


def _is_constrained(response: str, _given: Arguments) -> bool:
    return any(allowed in response for allowed in _CONSTRAINED_RESPONSES)


def _has_highlights(response: str, given: Arguments) -> bool:
    """As published, `**bold**` is one in its double asterisks; its single ones are empty."""
    single = re.findall(r"\*([^\n*]*)\*", response)
    double = re.findall(r"\*\*([^\n*]*)\*\*", response)
    return sum(bool(text.strip()) for text in single + double) >= int(given["num_highlights"])


def _has_sections(response: str, given: Arguments) -> bool:
    heading = rf"\s?{re.escape(given['section_spliter'].strip())}\s?\d+\s?"
    return len(re.findall(heading, response)) >= int(given["num_sections"])


def _is_json(response: str, _given: Arguments) -> bool:
    text = re.sub(r"^```(?:json|Json|JSON)?", "", response.strip()).removesuffix("```")
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _has_title(response: str, _given: Arguments) -> bool:
    return any(t.strip("<> \t") for t in re.findall(r"<<[^\n]+>>", response))


def _has_two_responses(response: str, _given: Arguments) -> bool:
    """Two that differ, six asterisks between; nothing but white space may stand outside."""
    parts = [part.strip() for part in response.split("******")]
    if not all(parts[1:-1]):
        return False
    answers = [part for part in parts if part]
    return len(answers) == 2 and answers[0] != answers[1]


def _repeats_prompt(response: str, given: Arguments) -> bool:
    return response.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _ends_with(response: str, given: Arguments) -> bool:
    return response.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _has_capital_words(response: str, given: Arguments) -> bool:
    count = sum(word.isupper() for word in re.findall(r"[\w'-]+", response))
    return _relates(count, given["capital_relation"], given["capital_frequency"])


def _is_english_capital(response: str, _given: Arguments) -> bool:
    return response.isupper() and _is_language(response, "en")


def _is_english_lowercase(response: str, _given: Arguments) -> bool:
    return response.islower() and _is_language(response, "en")


def _lacks_commas(response: str, _given: Arguments) -> bool:
    return "," not in response


def _is_quoted(response: str, _given: Arguments) -> bool:
    text = response.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


CHECKS: dict[str, Check] = {
    "keywords:existence": _has_keywords,
    "keywords:frequency": _has_keyword_often,
    "keywords:forbidden_words": _lacks_words,
    "keywords:letter_frequency": _has_letter_often,
    "language:response_language": _is_in_language,
    "length_constraints:number_sentences": _has_sentences,
    "length_constraints:number_paragraphs": _has_paragraphs,
    "length_constraints:number_words": _has_words,
    "length_constraints:nth_paragraph_first_word": _starts_paragraph,
    "detectable_content:number_placeholders": _has_placeholders,
    "detectable_content:postscript": _has_postscript,
    "detectable_format:number_bullet_lists": _has_bullets,
    "detectable_format:constrained_response": _is_constrained,
    "detectable_format:number_highlighted_sections": _has_highlights,
    "detectable_format:multiple_sections": _has_sections,
    "detectable_format:json_format": _is_json,
    "detectable_format:title": _has_title,
    "combination:two_responses": _has_two_responses,
    "combination:repeat_prompt": _repeats_prompt,
    "startend:end_checker": _ends_with,
    "startend:quotation": _is_quoted,
    "change_case:capital_word_frequency": _has_capital_words,
    "change_case:english_capital": _is_english_capital,
    "change_case:english_lowercase": _is_english_lowercase,
    "punctuation:no_comma": _lacks_commas,
}


def score_instructions(predictions: Sequence[Prediction]) -> dict[str, Statistic]:
    """Strict and loose accuracy, of whole prompts and of single instructions.

    An item has `extra["instruction_id_list"]` and, in the same order, `extra["kwargs"]`. Loose
    takes an instruction for followed if any of eight variants of the response does: with or
    without its first line, its last line, and its asterisks.

    Raises:
        AuraError: for an instruction there is no check of, or an item without any.
    """
    strict = [_followed(p, [p.prediction]) for p in predictions]
    loose = [_followed(p, variants(p.prediction)) for p in predictions]
    counts = [len(followed) for followed in strict]
    return {
        "prompt_strict": mean([all(followed) for followed in strict]),
        "prompt_loose": mean([all(followed) for followed in loose]),
        "instruction_strict": ratio([sum(followed) for followed in strict], counts),
        "instruction_loose": ratio([sum(followed) for followed in loose], counts),
    }


def variants(response: str) -> list[str]:
    """The response with and without its first line, its last line, and its asterisks."""
    lines = response.split("\n")
    cut = (lines[1:], lines[:-1], lines[1:-1])
    found = [response, *("\n".join(kept).strip() for kept in cut)]
    return [*found, *(text.replace("*", "") for text in found)]


def _followed(prediction: Prediction, responses: Sequence[str]) -> list[bool]:
    return [
        any(follows(instruction_id, response, arguments) for response in responses)
        for instruction_id, arguments in _instructions(prediction)
    ]


def _instructions(prediction: Prediction) -> list[tuple[str, dict[str, Any]]]:
    ids = prediction.extra.get("instruction_id_list")
    arguments = prediction.extra.get("kwargs")
    if not isinstance(ids, list) or not isinstance(arguments, list) or not ids:
        raise AuraError(f"{prediction.id} has no instruction_id_list and kwargs in its extra")
    if len(ids) != len(arguments):
        raise AuraError(f"{prediction.id}: {len(ids)} instructions, {len(arguments)} kwargs")
    return [
        (str(i), given if isinstance(given, dict) else {})
        for i, given in zip(ids, arguments, strict=True)
    ]
