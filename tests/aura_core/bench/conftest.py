from pathlib import Path

import pytest

from aura_core.config import DemoCorpusConfig
from aura_core.corpus.grammar import grammar_text, parse_grammar, plan_corpus
from aura_core.corpus.synthesis import Synthesizer
from aura_core.corpus.table import write_table
from aura_core.corpus.voice import SLOW_PIPER
from aura_core.models.pinned import locate


@pytest.fixture(scope="session")
def ingest_uri(tmp_path_factory) -> str:
    """A corpus of three sentences that a real voice says."""
    config = DemoCorpusConfig(
        train_utterances=24, heldout_utterances=4, phrasing_utterances=4, voice_utterances=4
    )
    voice = Synthesizer(Path(locate("joe-medium")), SLOW_PIPER, config, "bench")
    planned = plan_corpus(parse_grammar(grammar_text()), config)
    train = [each for each in planned if each.split == "train"][:3]
    uri = str(tmp_path_factory.mktemp("ingest"))
    write_table(uri, [voice.speak(utterance) for utterance in train])
    return uri
