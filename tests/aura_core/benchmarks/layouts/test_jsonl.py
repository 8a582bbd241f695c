import json
from dataclasses import replace

import pytest

from aura_core.benchmarks.item import BenchmarkItem
from aura_core.benchmarks.layouts import jsonl
from aura_core.config.benchmarks import BENCHMARKS
from aura_core.errors import AuraError

MINE = replace(BENCHMARKS["voicebench_mmsu"], layout="jsonl", subset="test", prompt_text=None)
LINES = [
    {"audio_filepath": "a/1.wav", "text": "Who painted it?", "references": ["Vermeer"],
     "prompt_text": "Answer in a word.", "extra": {"room": "2"}},
    {"id": "second", "audio_filepath": "2.wav", "text": "A or B?", "references": ["A", "a"],
     "choices": {"A": "yes", "B": "no"}},
]  # fmt: skip


@pytest.fixture
def folder(write, audio):
    write("a/1.wav", audio())
    write("2.wav", audio())
    return write("test.jsonl", "".join(json.dumps(line) + "\n" for line in LINES))


def test_every_line_is_an_item(folder, audio):
    first, second = jsonl.read_jsonl(folder, MINE)
    assert first == BenchmarkItem(
        "a/1", "Who painted it?", "Answer in a word.", ("Vermeer",), audio(), None, {"room": "2"}
    )
    assert (second.id, second.references, second.prompt_text) == ("second", ("A", "a"), "")
    assert second.choices == {"A": "yes", "B": "no"}


def test_the_catalogues_prompt_is_everyones(folder):
    items = jsonl.read_jsonl(folder, replace(MINE, prompt_text="Answer."))
    assert {item.prompt_text for item in items} == {"Answer."}


def test_bad_lines_are_named(folder, write):
    bad = ["no json", {**LINES[0], "references": []}, {**LINES[0], "refs": ["x"]},
           {**LINES[0], "audio_filepath": "gone.wav"}]  # fmt: skip
    lines = [line if isinstance(line, str) else json.dumps(line) for line in bad]
    write("test.jsonl", "\n\n".join(lines))
    rejected = list(jsonl.read_jsonl(folder, MINE))
    assert [each.kind for each in rejected] == ["bad line"] * 3 + ["missing"]
    assert [each.id for each in rejected] == ["line 1", "line 3", "line 5", "gone"]
    assert "references" in rejected[1].detail
    assert "refs" in rejected[2].detail


def test_another_folder_is_refused(write):
    folder = write("train.jsonl", "")
    with pytest.raises(AuraError, match=r"expected test\.jsonl .*found train\.jsonl"):
        next(jsonl.read_jsonl(folder, MINE))
