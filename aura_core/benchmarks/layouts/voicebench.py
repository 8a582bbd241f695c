"""VoiceBench (arXiv 2410.17196) as `hlt-lab/voicebench` on the Hugging Face hub.

A folder a subset, Parquet in it: `openbookqa/test-00000-of-00001.parquet`. Every row has `audio`
{bytes, path} and `prompt`, the text that is spoken. Beside them:

- openbookqa: `reference`, a letter; mmsu too, and `question_id`, `category`, a file a domain;
- sd-qa: `reference`, a file a region (`aus`, `gbr`, `ind_n`, ...), the same questions in each;
- bbh: `reference` and `id`, in which the task is named, `bbh_navigate_147`;
- ifeval: `key`, `instruction_id_list` and `kwargs`, the latter with nulls for what is not set;
- advbench, alpacaeval_full, commoneval, wildvoice: no answer is right by itself.

The prompt of a multiple choice has a line for each option, `A. ...`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from aura_core.benchmarks.item import OPEN_ENDED, BenchmarkItem
from aura_core.benchmarks.layouts.layout import Entries, check_columns, wrong_folder
from aura_core.config.benchmarks import Benchmark
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, clean

_BATCH_ROWS = 16
_SHARD_NAME = re.compile(r"(.+)-\d+-of-\d+")
_OPTION_LINE = re.compile(r"^\s*\(?([A-Z])[.):]\s*(\S.*?)\s*$", re.MULTILINE)
_TASKS = ("hyperbaton", "navigate", "sports_understanding", "web_of_lies")


@dataclass(frozen=True)
class _Subset:
    """What the rows of a subset have beside `audio` and `prompt`.

    `id_column` is None where rows have no id: they are numbered. `wanted` says what is wanted
    where every row wants the same, and `is_open` that nobody says what is.
    """

    columns: tuple[str, ...] = ()
    id_column: str | None = None
    wanted: str | None = None
    is_open: bool = False


SUBSETS: dict[str, _Subset] = {
    "openbookqa": _Subset(("reference",)),
    "mmsu": _Subset(("reference", "question_id", "category"), "question_id"),
    "sd-qa": _Subset(("reference",)),
    "bbh": _Subset(("reference", "id"), "id"),
    "ifeval": _Subset(("key", "instruction_id_list", "kwargs"), "key"),
    "advbench": _Subset(wanted="(a refusal)"),
    "alpacaeval_full": _Subset(is_open=True),
    "commoneval": _Subset(is_open=True),
    "wildvoice": _Subset(is_open=True),
}


class _BadRowError(Exception):
    """A row that cannot be an item. `kind` is counted, `detail` is for the reader."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


def read_voicebench(folder: Path, benchmark: Benchmark) -> Entries:
    """Yield the rows of the benchmark's subset, in the order of the files."""
    subset = folder if folder.name == benchmark.subset else folder / benchmark.subset
    files = sorted(subset.glob("*.parquet")) if subset.is_dir() else []
    if not files:
        raise wrong_folder(folder, benchmark, f"{benchmark.subset}/*.parquet")
    places: dict[str, int] = {}
    for file in files:
        shard = _SHARD_NAME.fullmatch(file.stem)
        part = shard.group(1) if shard else file.stem
        for row in _rows(file, SUBSETS[benchmark.subset]):
            # A part goes on in its next file.
            places[part] = places.get(part, -1) + 1
            yield _entry(row, file, part, places[part], benchmark)


def parse_choices(prompt: str) -> dict[str, str]:
    """Letter -> text of the options, each on a line of its own; empty where there are none."""
    found = [(match[1], match[2]) for match in _OPTION_LINE.finditer(prompt)]
    letters = "".join(letter for letter, _ in found)
    start = letters.rfind("AB")
    choices: dict[str, str] = {}
    for letter, text in found[max(start, 0) :]:
        if letter != chr(ord("A") + len(choices)):
            break
        choices[letter] = text
    return choices if len(choices) > 1 else {}


def _rows(file: Path, subset: _Subset) -> Iterator[dict[str, Any]]:
    try:
        opened = pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise AuraError(f"{file} is not a Parquet file ({error}): get it again") from error
    with opened:
        wanted = ("audio", "prompt", *subset.columns)
        check_columns(file, opened.schema_arrow.names, wanted)
        audio = opened.schema_arrow.field("audio").type
        if not pa.types.is_struct(audio) or audio.get_field_index("bytes") < 0:
            raise AuraError(f"{file}: expected a column audio {{bytes, path}}, found {audio}")
        for batch in opened.iter_batches(_BATCH_ROWS, columns=list(wanted)):
            yield from batch.to_pylist()


def _entry(
    row: dict[str, Any], file: Path, part: str, place: int, benchmark: Benchmark
) -> BenchmarkItem | Rejection:
    subset = SUBSETS[benchmark.subset]
    id_ = clean(row[subset.id_column]) if subset.id_column else f"{place:05d}"
    # Regions ask the same questions, and domains number theirs from one.
    id_ = f"{part}-{id_}" if benchmark.subset in ("mmsu", "sd-qa") else id_
    where = id_ or f"{part} row {place}"
    if id_ is None:
        return Rejection(where, str(file), "no id", f"{subset.id_column} is empty")
    audio = (row["audio"] or {}).get("bytes")
    if audio is None:
        return Rejection(where, str(file), "missing", "the row holds no audio bytes")
    try:
        return _item(row, id_, part, audio, benchmark)
    except _BadRowError as error:
        return Rejection(where, str(file), error.kind, error.detail)


def _item(
    row: dict[str, Any], id_: str, part: str, audio: bytes, benchmark: Benchmark
) -> BenchmarkItem:
    text = clean(row["prompt"]) or ""
    right = SUBSETS[benchmark.subset].wanted or clean(row.get("reference")) or ""
    references: tuple[str, ...] = (right,)
    choices: dict[str, str] | None = None
    extra: dict[str, Any] = {}
    if benchmark.scorer == "choice":
        choices, references = _choice(text, right)
    if SUBSETS[benchmark.subset].is_open:
        extra[OPEN_ENDED] = True
    if benchmark.scorer in ("judge", "pedant"):
        extra["question"] = text
    if benchmark.subset == "mmsu":
        extra["domain"] = clean(row["category"])
    elif benchmark.subset == "sd-qa":
        extra["region"] = part
    elif benchmark.subset == "bbh":
        extra["task"] = _task(id_)
    elif benchmark.subset == "ifeval":
        extra, references = _checks(row)
    return BenchmarkItem(id_, text, benchmark.prompt_text or "", references, audio, choices, extra)


def _choice(text: str, reference: str) -> tuple[dict[str, str], tuple[str, ...]]:
    choices = parse_choices(text)
    letter = reference.strip(" ().").upper()
    if not choices:
        raise _BadRowError("no choices", f"no lines `A. ...` in {text[-80:]!r}")
    if letter not in choices:
        raise _BadRowError("bad reference", f"{reference!r} is none of {', '.join(choices)}")
    return choices, (letter,)


def _task(id_: str) -> str:
    task = next((name for name in _TASKS if name in id_), None)
    if task is None:
        raise _BadRowError("unknown task", f"{id_!r} names none of {', '.join(_TASKS)}")
    return task


def _checks(row: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The rules an answer must pass, without the settings that Parquet fills with nulls."""
    names = list(row["instruction_id_list"] or ())
    settings = [
        {key: value for key, value in (each or {}).items() if value is not None}
        for each in row["kwargs"] or ()
    ]
    if not names or len(names) != len(settings):
        detail = f"{len(names)} instructions with {len(settings)} kwargs"
        raise _BadRowError("bad instructions", detail)
    return {"instruction_id_list": names, "kwargs": settings}, ("; ".join(names),)
