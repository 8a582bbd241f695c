import pytest

from aura_core.errors import AuraError
from aura_core.ingest.readers import commonvoice
from aura_core.ingest.source_item import SourceItem

HEAD = "client_id\tpath\tsentence\tup_votes\n"


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "train.tsv").write_text(f'{HEAD}s1\ta.mp3\tHe said "hi.\t2\ns1\t\tlost\t2\n')
    (tmp_path / "test.tsv").write_text(f"{HEAD}s2\tb.mp3\tBye.\t2\n")
    (tmp_path / "validated.tsv").write_text(f"{HEAD}s1\ta.mp3\tHe said hi.\t2\n")
    return tmp_path


def test_every_table_is_a_split(corpus):
    assert commonvoice.matches(str(corpus))
    first, lost, last = commonvoice.read(str(corpus), {})
    clips = f"{corpus}/clips"
    assert first == SourceItem("a", f"{clips}/a.mp3", 'He said "hi.', speaker="s1", split="train")
    assert lost.reason == "bad line: line 3 has no path"
    assert last == SourceItem("b", f"{clips}/b.mp3", "Bye.", speaker="s2", split="test")


def test_without_splits_all_that_was_validated_is_read(corpus):
    for name in ("train.tsv", "test.tsv"):
        (corpus / name).unlink()
    (item,) = commonvoice.read(str(corpus), {})
    assert item.split is None
    (corpus / "validated.tsv").unlink()
    assert not commonvoice.matches(str(corpus))


def test_another_table_is_the_users_mistake(corpus):
    (corpus / "train.tsv").write_text("file\twords\n")
    with pytest.raises(AuraError, match=r"train\.tsv lacks the columns"):
        list(commonvoice.read(str(corpus), {}))
    with pytest.raises(AuraError, match="are known"):
        list(commonvoice.read(str(corpus), {"text": "words"}))
