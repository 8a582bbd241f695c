"""What an utterance is asked, in training and by the text LLM: one list for both."""

from typing import NamedTuple

from aura_core.instructions import TRANSCRIBE


class Question(NamedTuple):
    """A kind of answer, the instruction after the speech, and the answer; None: there is none."""

    kind: str
    instruction: str
    response: str | None


def questions(
    text: str, instruction: str | None, response: str | None, own: Question | None
) -> list[Question]:
    """List the questions of an utterance; `own` is that of the text LLM's own answer, if any."""
    asked = [Question("transcript", TRANSCRIBE, text)]
    if response is not None:
        asked.append(Question("response", instruction or "", response))
    return [*asked, own] if own is not None else asked
