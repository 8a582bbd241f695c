import pytest

from aura_core.chat.load import load_chat
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.turns import Turn


@pytest.fixture(scope="module", params=["audio", "all"], ids=["gated", "merged"])
def exported(request, artifact_of, tmp_path_factory):
    artifact, folder = artifact_of(request.param), tmp_path_factory.mktemp("folder") / "model"
    export_student(str(artifact), folder)
    return str(artifact), folder


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


def test_what_cannot_be_laid_out_is_refused(exported, clip):
    model = load_chat(str(exported[1]))
    with pytest.raises(AuraError, match="cannot be laid out: 2 "):
        model.reply([Turn("user", (clip(1.0), "<|audio|>"))], 4)
