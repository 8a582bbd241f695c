"""From token ids, one by one, to pieces of text that never have to be taken back."""

from collections.abc import Callable, Sequence

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
