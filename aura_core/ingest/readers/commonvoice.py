"""Common Voice: `train.tsv`, `dev.tsv`, `test.tsv` beside `clips/`, one language a folder.

A table has the columns `path`, `sentence` and `client_id`. Without those three `validated.tsv` is
read, whose utterances have no split.
"""

import csv
import io
from collections.abc import Iterator, Mapping

from aura_core.artifacts import store
from aura_core.errors import AuraError
from aura_core.ingest.source_item import Rejection, SourceItem, clean, id_from_path, read_utf8

_SPLITS = {"train.tsv": "train", "dev.tsv": "validation", "test.tsv": "test"}
_ALL = "validated.tsv"


def matches(uri: str) -> bool:
    """Whether `uri` is a folder with such a table and clips."""
    return store.exists(store.join(uri, "clips")) and bool(_tables(uri))


def read(uri: str, columns: Mapping[str, str]) -> Iterator[SourceItem | Rejection]:
    """Yield the utterances of every table."""
    if columns:
        raise AuraError("ingest.columns names columns, and Common Voice's are known")
    for name, split in _tables(uri).items():
        table = store.join(uri, name)
        rows = csv.DictReader(io.StringIO(read_utf8(table)), delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"path", "sentence"} <= set(rows.fieldnames or ()):
            raise AuraError(f"{table} lacks the columns path and sentence of Common Voice")
        for row in rows:
            path = clean(row["path"])
            if path is None:
                where = f"line {rows.line_num}"
                yield Rejection(where, table, "bad line", f"{where} has no path")
                continue
            yield SourceItem(
                id=id_from_path(path),
                audio_uri=store.join(uri, "clips", path),
                text=clean(row["sentence"]),
                speaker=clean(row.get("client_id")),
                split=split,
            )


def _tables(uri: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {
        name: split for name, split in _SPLITS.items() if store.exists(store.join(uri, name))
    }
    return found or ({_ALL: None} if store.exists(store.join(uri, _ALL)) else {})
