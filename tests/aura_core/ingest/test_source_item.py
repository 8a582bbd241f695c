import json

import pytest

from aura_core.errors import AuraError
from aura_core.ingest.source_item import (
    Rejection,
    check_share,
    count_kinds,
    read_rejections,
    write_rejections,
    write_report,
)

SOME = [
    Rejection("a", "a.wav", "missing", "there is no such file"),
    Rejection("b", "b.wav", "empty"),
    Rejection("c", "ü c.wav", "missing", "there is no such file"),
]


def test_rejections_survive_a_file(tmp_path):
    write_rejections(str(tmp_path / "x.jsonl"), SOME)
    assert read_rejections(str(tmp_path / "x.jsonl")) == SOME


def test_report_names_id_path_and_reason(tmp_path):
    write_report(str(tmp_path / "rejected.jsonl"), SOME)
    lines = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {
        "id": "a",
        "path": "a.wav",
        "reason": "missing: there is no such file",
    }
    assert json.loads(lines[1])["reason"] == "empty"


def test_report_without_rejections_exists(tmp_path):
    write_report(str(tmp_path / "rejected.jsonl"), [])
    assert (tmp_path / "rejected.jsonl").read_bytes() == b""


def test_kinds_are_counted():
    assert count_kinds(SOME) == {"missing": 2, "empty": 1}


def test_share_is_a_limit_that_may_be_reached():
    check_share(SOME, num_listed=30, max_share=0.1)
    check_share([], num_listed=0, max_share=0.0)
    with pytest.raises(AuraError) as caught:
        check_share(SOME, num_listed=29, max_share=0.1)
    message = str(caught.value)
    assert message.startswith("3 of 29 utterances (10.3%) are rejected, more than the allowed 10%")
    assert "missing (2), empty (1)" in message
    assert "a: missing: there is no such file" in message
    assert "\n" not in message
