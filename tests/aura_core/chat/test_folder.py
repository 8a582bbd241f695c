import pytest

from aura_core.chat.load import load_chat
from aura_core.chat.reply import TooManyPositionsError
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.turns import Turn


@pytest.fixture(scope="module")
def exported(artifact, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder") / "model"
    export_student(artifact, folder)
    return artifact, folder


def test_pieces_are_what_generate_answers(exported, clip):
    _, folder = exported
    processor = AuraProcessor.from_pretrained(folder)
    model = AuraForConditionalGeneration.from_pretrained(folder)
    content = [{"type": "audio"}, {"type": "text", "text": "Transcribe."}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(text, audio=clip(1.3), sampling_rate=16000)
    ids = model.generate(**inputs, max_new_tokens=24)[0, inputs["input_ids"].shape[1] :]
    pieces = list(load_chat(str(folder)).reply([Turn("user", (clip(1.3), "Transcribe."))], 24))
    assert len(pieces) > 2
    assert "".join(pieces) == processor.tokenizer.decode(ids, skip_special_tokens=True).strip()


def test_a_conversation_goes_as_with_the_artifact(exported, conversation):
    artifact, folder = exported
    replies = [load_chat(uri).reply(conversation, 24) for uri in (artifact, str(folder))]
    assert len({"".join(each) for each in replies}) == 1
    assert len({each.prompt_tokens for each in replies}) == 1


def test_a_conversation_that_fits_as_it_is_read_is_answered_and_no_longer_one(exported, clip):
    turns = [Turn("user", (clip(1.3), "Transcribe."))]
    models = [load_chat(uri) for uri in map(str, exported)]
    positions = models[0].reply(turns, 1).prompt_tokens
    models[0]._student.causal_lm.config.max_position_embeddings = positions + 2
    models[1]._model.config.text_config.max_position_embeddings = positions + 2
    for model in models:
        assert sum(1 for _ in model.reply(turns, 24)._tokens) == 2
    models[0]._student.causal_lm.config.max_position_embeddings = positions
    models[1]._model.config.text_config.max_position_embeddings = positions
    for model in models:
        with pytest.raises(TooManyPositionsError, match=f"takes {positions} positions"):
            model.reply(turns, 24)


def test_what_cannot_be_laid_out_is_refused(exported, clip):
    model = load_chat(str(exported[1]))
    with pytest.raises(AuraError, match="cannot be laid out: 2 "):
        model.reply([Turn("user", (clip(1.0), "<|audio|>"))], 4)
