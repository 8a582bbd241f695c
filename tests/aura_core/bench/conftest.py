from pathlib import Path

import pytest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from aura_core.config.recipes import recipe
from aura_core.config.run import DemoCorpusConfig
from aura_core.config.voices import second_voice
from aura_core.ingest.grammar import grammar_text, parse_grammar, plan_corpus
from aura_core.ingest.synthesis import Synthesizer
from aura_core.ingest.utterances import write_table
from aura_core.models.llm import source_of
from aura_core.models.pinned import locate

BLOCKS, HEADS, HEAD_WIDTH, WIDTH = 5, 2, 16, 64


@pytest.fixture(scope="session")
def ingest_uri(tmp_path_factory) -> str:
    """A corpus of three sentences that a real voice says."""
    config = DemoCorpusConfig(
        train_utterances=24, heldout_utterances=4, phrasing_utterances=4, voice_utterances=4
    )
    voice = Synthesizer(Path(locate("joe-medium")), second_voice(), config, "bench")
    planned = plan_corpus(parse_grammar(grammar_text()), config)
    train = [each for each in planned if each.split == "train"][:3]
    uri = str(tmp_path_factory.mktemp("ingest"))
    write_table(uri, [voice.speak(utterance) for utterance in train])
    return uri


@pytest.fixture(scope="session")
def config(tmp_path_factory):
    """The demo with a small LLM, which keeps the pinned one's tokenizer."""
    folder = str(tmp_path_factory.mktemp("llm"))
    tokenizer = AutoTokenizer.from_pretrained(source_of("pinned:smollm2-135m-instruct")[0])
    tokenizer.save_pretrained(folder)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=128,
            num_hidden_layers=BLOCKS,
            num_attention_heads=4,
            num_key_value_heads=HEADS,
        )
    ).save_pretrained(folder)
    demo = recipe("demo")
    # So that what is expected of positions follows from the clip's length.
    dense = demo.distil.distillation.model_copy(update={"handover": "dense"})
    changes = {"llm": folder, "precision": "fp32", "distillation": dense}
    distil = demo.distil.model_copy(update=changes)
    return demo.model_copy(update={"distil": distil})
