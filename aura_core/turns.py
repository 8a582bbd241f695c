"""What is said in a conversation: turns that hold text and audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Role = Literal["system", "user", "assistant"]
Audio = NDArray[np.float32]  # [samples] at 16 kHz


# Arrays have no equality that says yes or no.
@dataclass(frozen=True, eq=False)
class Turn:
    """One message; its parts are texts and clips, in the order in which they are said."""

    role: Role
    parts: tuple[str | Audio, ...]


def clips(turns: Sequence[Turn]) -> list[Audio]:
    """Return the clips of a conversation in order."""
    return [part for turn in turns for part in turn.parts if not isinstance(part, str)]
