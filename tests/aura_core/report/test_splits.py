from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.corpus.table import write_table
from aura_core.report.splits import describe_splits
from tests.utterance_rows import utterance_row

TASKS = ("transcribe/heldout", "respond/heldout", "transcribe/voice", "spoken_choice", "latency")


def corpus(uri, manifest=None, **speakers):
    rows = [
        utterance_row(f"{split}{number}", split=split, speaker=speaker)
        for split, found in speakers.items()
        for number, speaker in enumerate(found)
    ]
    write_table(str(uri), rows)
    made = Manifest(stage="ingest", stage_version=1, fingerprint="f", inputs={}, files=[],
                    identity={"manifest": manifest})  # fmt: skip
    write_manifest(str(uri), made)
    return describe_splits(str(uri), TASKS)


def test_who_speaks_is_read_from_the_corpus_and_not_from_the_name(tmp_path):
    strange = corpus(tmp_path / "a", train=["piper", "f2"], heldout=["piper"], voice=["flite"])
    assert strange == {
        "heldout": "sentences that were not trained on; spoken by piper, a voice of the training",
        "voice": "sentences that were not trained on; spoken by flite, a voice that training "
        "never heard",
    }
    # Where a machine lacks a second synthesiser, the voice is the training's.
    slowed = corpus(tmp_path / "b", train=["piper"], heldout=["piper"], voice=["piper"])
    assert slowed["voice"].endswith("spoken by piper, a voice of the training")


def test_a_corpus_of_ones_own(tmp_path):
    many = [f"s{number}" for number in range(9)]
    found = corpus(tmp_path, "calls.jsonl", train=many[:5], heldout=many, voice=[None])
    assert found == {
        "heldout": "kept out of the training; 9 voices, some of them new after training",
        "voice": "as its manifest names it",
    }
