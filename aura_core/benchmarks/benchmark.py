"""What a benchmark is: where it comes from, how it is asked and how it is scored."""

from dataclasses import dataclass
from typing import Literal

# The layout of the benchmarks that are made here and not read from a folder.
EMBEDDED = "embedded"
# What an LLM does with a text: answer it, choose the likeliest of an item's letters, or say how
# likely the text itself is.
Reading = Literal["answer", "choose", "perplexity"]


@dataclass(frozen=True)
class HubSource:
    """Where the Hugging Face hub keeps a set.

    Attributes:
        repo: data set on the hub, `ORG/NAME`.
        revision: branch, tag or commit.
        files: patterns of the files that are needed, as `huggingface_hub` matches them.
    """

    repo: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes:
        name: its key in the catalogue.
        version: raised when the items or what is asked of them change, so that figures of two
            versions are never mixed up.
        title: what the field calls it.
        layout: key of its reader, or `embedded` where it is made here, spoken or read.
        subset: the part of the published set that is read, as its layout names it.
        prompt_text: the written instruction after the audio; None where each item has its own.
            `{labels}` and `{types}` stand for what the set has of them.
        scorer: key of its scorer.
        slices: keys of an item's `extra` that results are cut by, or `length`.
        max_new_tokens: how long an answer may be.
        num_items: in the published set; None where it is not fixed.
        licence: of the data, as its publishers state it.
        hub: where it can be downloaded without an account; None where it cannot.
        homepage: where to get it by hand; empty for what is made here.
        description: what it asks, in one line.
        reading: what is done with its texts, where it is read and not heard: it tells what
            training for speech has left of an LLM's ability with text.
    """

    name: str
    version: int
    title: str
    layout: str
    subset: str
    prompt_text: str | None
    scorer: str
    slices: tuple[str, ...]
    max_new_tokens: int
    num_items: int | None
    licence: str
    hub: HubSource | None
    homepage: str
    description: str
    reading: Reading | None = None
