"""What is asked of an utterance in writing where the corpus asks nothing itself."""

from functools import cache
from importlib.resources import files

import yaml

TRANSCRIBE = "Transcribe."


def ordinary_instructions_text() -> str:
    """The source of the list."""
    name = "ordinary_instructions.yaml"
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@cache
def ordinary_instructions() -> tuple[str, ...]:
    """Questions and requests of many kinds, as people ask an assistant; none of a benchmark."""
    return tuple(yaml.safe_load(ordinary_instructions_text()))
