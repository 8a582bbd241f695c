import pytest

from aura_core.errors import AuraError

LINES = "61-70968-0000 HE BEGAN A CONFUSED COMPLAINT\n61-70968-0001 GIVE NOT SO\n"
CHAPTER = "LibriSpeech/test-clean/61/70968"


@pytest.fixture
def corpus(write, audio):
    for name in ("61-70968-0000", "61-70968-0001"):
        write(f"{CHAPTER}/{name}.flac", audio(file_format="FLAC"))
    write("LibriSpeech/test-other/1/2/1-2.trans.txt", "1-2-0000 OTHER\n")
    return write(f"{CHAPTER}/61-70968.trans.txt", LINES)


def test_one_subset_of_the_corpus_is_read(corpus, read, audio):
    items, rejected = read("librispeech_test_clean", corpus)
    assert rejected == {}
    item = items["61-70968-0000"]
    assert (item.text, item.prompt_text) == ("he began a confused complaint", "Transcribe.")
    assert item.references == (item.text,)
    assert item.audio == audio(file_format="FLAC")
    assert item.extra == {"speaker": "61"}
    assert len(items) == 2


@pytest.mark.parametrize("inside", ["LibriSpeech", "LibriSpeech/test-clean"])
def test_a_folder_further_in_is_the_same_set(corpus, read, inside):
    assert len(read("librispeech_test_clean", corpus / inside)[0]) == 2


def test_what_has_no_audio_or_no_id_is_named(corpus, read, write):
    (corpus / CHAPTER / "61-70968-0001.flac").unlink()
    write(f"{CHAPTER}/61-70968.trans.txt", LINES + "what is this\n")
    items, rejected = read("librispeech_test_clean", corpus)
    assert list(items) == ["61-70968-0000"]
    assert rejected == {"61-70968-0001": "missing", "line 3": "bad line"}


def test_a_folder_without_the_subset_is_refused(write, read):
    folder = write("LibriSpeech/dev-clean/1/2/1-2.trans.txt", "1-2-0000 YES\n")
    with pytest.raises(AuraError, match=r"expected test-clean/SPEAKER.*found LibriSpeech/"):
        read("librispeech_test_clean", folder)


def test_an_empty_subset_is_refused(write, read):
    folder = write("test-clean/readme.txt", "nothing")
    with pytest.raises(AuraError, match=r"trans\.txt"):
        read("librispeech_test_clean", folder)


def test_its_scorer_understands_it(corpus, read, score):
    items, _ = read("librispeech_test_clean", corpus)
    right = {id_: item.text.upper() for id_, item in items.items()}
    assert score("librispeech_test_clean", items, right) == 0
    wrong = right | {"61-70968-0001": "GIVE NOT SOUP"}
    assert score("librispeech_test_clean", items, wrong) == 1 / 8
