"""An answer while it is decoded: token ids to pieces of text that are never taken back."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, Protocol

from aura_core.errors import AuraError
from aura_core.turns import Turn

# From token ids, one by one, to pieces of text that never have to be taken back.

# What decoding puts where a character's bytes are not all there yet.
_INCOMPLETE = "\ufffd"


class TextPieces:
    """Turns ids into text as they come.

    Together the pieces are `decode(ids).strip()`, up to the first stop string. Held back is what
    a later token may change: bytes of an unfinished character, spaces that may be the last, and
    what may become a stop string.

    Args:
        decode: text of ids, without special tokens; more ids only append to it, but for
            `U+FFFD` at its end.
        stop: strings that end the answer and are no part of it; none of them empty.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = stop
        self._ids: list[int] = []
        self._num_sent = 0
        self.stopped = False

    def push(self, token: int) -> str:
        """Take the next id and return the text that is now certain; it may be empty."""
        self._ids.append(token)
        text = self._decode(self._ids).lstrip()
        found = [at for each in self._stop if (at := text.find(each)) >= 0]
        if found:
            self.stopped = True
            return self._send(text[: min(found)].rstrip())
        text = text.rstrip(_INCOMPLETE)
        return self._send(text[: len(text) - self._num_held(text)].rstrip())

    def finish(self) -> str:
        """Return what was held back, as no more ids come."""
        return "" if self.stopped else self._send(self._decode(self._ids).strip())

    def _num_held(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        return max(
            (n for each in self._stop for n in range(1, len(each)) if text.endswith(each[:n])),
            default=0,
        )

    def _send(self, text: str) -> str:
        piece = text[self._num_sent :]
        self._num_sent += len(piece)
        return piece


class Reply:
    """Iterate once for the pieces of text; the counts are those of what was decoded so far.

    Args:
        tokens: ids as they are decoded, an end token or not.
        prompt_tokens: positions that the last block holds of the prompt: text, and audio or, with
            a hand-over, the slots that stand for it.
        decode: text of ids, without special tokens.
        end_ids: tokens that end an answer.
        stop: strings that end it.
    """

    def __init__(
        self,
        tokens: Iterator[int],
        *,
        prompt_tokens: int,
        decode: Callable[[list[int]], str],
        end_ids: Collection[int],
        stop: Sequence[str] = (),
    ) -> None:
        self._tokens = tokens
        self._pieces = TextPieces(decode, stop)
        self._end_ids = end_ids
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = 0  # the end token included
        # "length": the answer was cut at its longest.
        self.finish_reason: Literal["stop", "length"] = "length"

    def __iter__(self) -> Iterator[str]:
        for token in self._tokens:
            self.completion_tokens += 1
            ends = token in self._end_ids
            piece = "" if ends else self._pieces.push(token)
            if piece:
                yield piece
            if ends or self._pieces.stopped:
                self.finish_reason = "stop"
                break
        if rest := self._pieces.finish():
            yield rest


class ChatModel(Protocol):
    """Goes on with conversations, greedily."""

    def reply(self, turns: Sequence[Turn], max_new_tokens: int, stop: Sequence[str] = ()) -> Reply:
        """Read the conversation; the rest of the answer is decoded while it is iterated.

        Args:
            turns: the last one the user's; audio may be in any user turn.
            max_new_tokens: the longest answer; cut to what the LLM's positions leave.
            stop: strings that end the answer and are no part of it.

        Raises:
            AuraError: if the chat template refuses the turns.
            TooManyPositionsError: if nothing is left for an answer.
        """


class TooManyPositionsError(AuraError):
    """A conversation that fills all positions of the LLM."""


def room_for(max_new_tokens: int, prompt_tokens: int, max_positions: int) -> int:
    """Return how many tokens an answer may have. Raises TooManyPositionsError if none."""
    left = max_positions - prompt_tokens
    if left < 1:
        raise TooManyPositionsError(
            f"the conversation takes {prompt_tokens} positions, and the model has {max_positions}: "
            "start a new one, or leave out its oldest turns"
        )
    return min(max_new_tokens, left)
