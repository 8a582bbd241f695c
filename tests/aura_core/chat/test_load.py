import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from aura_core.chat.load import CascadeChat, load_chat
from aura_core.chat.reply import TooManyPositionsError
from aura_core.config.run import TeacherCacheConfig
from aura_core.config.train import (
    AUDIO_EMBEDDING,
    ENCODER,
    ENCODER_CODEC,
    TRAIN_CONFIG,
    TrainConfig,
)
from aura_core.errors import AuraError
from aura_core.export.folder import export_student
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.export.remote.processing_aura import AuraProcessor
from aura_core.models.llm import load_llm
from aura_core.student.assembly import new_audio_embedding
from aura_core.student.audio_embedding import EncoderFrames
from aura_core.student.inference import load_responder, load_student
from aura_core.student.prompts import Prompt
from aura_core.teacher_cache import codec as codecs
from aura_core.teacher_cache.codec import Codec, LayerCodec
from aura_core.turns import Turn, clips
from tests.tiny_students import inputs_about


@pytest.fixture(scope="module")
def exported(artifact, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder") / "model"
    export_student(artifact, folder)
    return artifact, folder


def test_pieces_are_what_generate_answers(exported, clip):
    _, folder = exported
    processor = AuraProcessor.from_pretrained(folder)
    model = AuraForConditionalGeneration.from_pretrained(folder)
    inputs = inputs_about(processor, clip(1.3))
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


CPU = torch.device("cpu")


@pytest.mark.parametrize("seconds", [0.3, 1.3])
def test_pieces_are_what_the_evaluation_is_answered(artifact, clip, seconds):
    responder, audio = load_responder(artifact, CPU), clip(seconds)
    prompt = Prompt("Transcribe.", input_features=responder.extract_features([audio])[0])
    reply = load_chat(artifact).reply([Turn("user", (audio, "Transcribe."))], 24)
    pieces = list(reply)
    assert len(pieces) > 2
    assert "".join(pieces) == responder.generate([prompt], 24)[0]


class Reader:
    """Stands for the ASR."""

    def transcribe(self, audios):
        return [f"transcript of {len(audio)}" for audio in audios]


def test_a_cascade_answers_as_in_the_evaluation(artifact, clip):
    student, chat, _ = load_student(artifact, CPU)
    responder = load_responder(artifact, CPU)
    cascade = CascadeChat(student, chat, Reader())
    reply = cascade.reply([Turn("user", (clip(1.0), "What?"))], 24)
    expected = responder.generate([Prompt("What?", text="transcript of 16000")], 24)[0]
    assert "".join(reply) == expected
    batch = responder.batch([Prompt("What?", text="transcript of 16000")])
    assert reply.prompt_tokens == batch.input_ids.shape[1]


@pytest.fixture(scope="module")
def bridge(artifact_of, tmp_path_factory):
    """A student whose audio embedding takes the states of a real encoder."""
    folder = tmp_path_factory.mktemp("bridge") / "student"
    shutil.copytree(artifact_of("all"), folder)
    teacher = TeacherCacheConfig(teacher="pinned:whisper-tiny.en", layers=(4,))
    (folder / ENCODER).write_text(teacher.model_dump_json())
    layer = LayerCodec(torch.zeros(384), torch.ones(384))
    codec = Codec({4: layer}, teacher.rate_hz, 1, getattr(torch, teacher.dtype))
    (folder / ENCODER_CODEC).write_bytes(codecs.to_bytes(codec))
    config = json.loads((folder / TRAIN_CONFIG).read_text())
    config["audio_embedding"]["stem"] = "encoder"
    config["phases"] = [{"name": "learn", "steps": 1, "distil": 0}]
    (folder / TRAIN_CONFIG).write_text(json.dumps(config))
    config = TrainConfig.model_validate(config)
    torch.manual_seed(2)
    llm, _ = load_llm(config.llm, torch.float32)
    embedding = new_audio_embedding(config, llm, EncoderFrames(384, teacher.rate_hz))
    save_file(embedding.state_dict(), folder / AUDIO_EMBEDDING)
    return str(folder)


def test_a_bridge_answers_as_in_the_evaluation_and_over_turns(bridge, conversation, clip):
    responder, model, audio = load_responder(bridge, CPU), load_chat(bridge), clip(1.3)
    prompt = Prompt("Transcribe.", input_features=responder.extract_features([audio])[0])
    pieces = list(model.reply([Turn("user", (audio, "Transcribe."))], 24))
    assert "".join(pieces) == responder.generate([prompt], 24)[0] != ""
    said = "".join(model.reply(conversation, 24))
    assert said == "".join(model.reply(conversation, 24)) != "".join(pieces)


def test_later_turns_depend_on_earlier_ones_and_on_each_clip(artifact, conversation, clip):
    model = load_chat(artifact)

    def answer(turns):
        return "".join(model.reply(turns, 24))

    said = answer(conversation)
    assert answer(conversation) == said
    assert answer(conversation[-1:]) != said
    other = Turn("user", (clip(1.3, seed=7), "Transcribe."))
    assert answer([conversation[0], other, *conversation[2:]]) != said
    assert answer([Turn("user", ("Hello",))]) != said


@torch.no_grad()
def by_hand(artifact, turns, number):
    """Tokens after a conversation with every clip heard alone, without cache, batch or mask code.

    Also how many positions the last block reads before the first of them.
    """
    student, chat, ear = load_student(artifact, CPU)
    handover, chunk = student.handover, student.chunk_positions

    def blocks(states, which, is_audio, first=0, chunk=1):
        index = torch.arange(states.shape[1])
        start = torch.where(is_audio[0], index - (index - first) % chunk, index)
        mask = (index[:, None] >= index) | (
            is_audio[0][:, None] & is_audio[0] & (start[:, None] == start)
        )
        rows = is_audio if is_audio.any() else None
        return student.run(
            states, which, is_audio=rows, mask=mask[None, None], position_ids=index[None]
        )[0]

    def slots(clip):
        features = ear([clip])[0]
        audio = student.audio_embedding(features[None], torch.tensor([len(features)]))
        prefix = student.embed_tokens(handover.prefix)[None]
        is_audio = torch.arange(prefix.shape[1] + audio.shape[1])[None] >= prefix.shape[1]
        together = torch.cat([prefix, audio], dim=1)
        first, size = prefix.shape[1], chunk or audio.shape[1]
        heard = blocks(together, student.lower, is_audio, first, size)[:, first:]
        made = handover(heard, torch.tensor([heard.shape[1]])).states
        # Each slot depends on its own span, so that several of them say that words are told apart.
        assert 1 < made.shape[1] < heard.shape[1]
        return made

    pieces, audio = chat.conversation(turns), [slots(clip) for clip in clips(turns)]
    said, length = [], 0
    for _ in range(number):
        ids = [*map(torch.tensor, [*pieces[:-1], [*pieces[-1], *said]])]
        kinds = [torch.zeros(len(ids[0]), dtype=torch.bool)]
        for each, piece in zip(audio, ids[1:], strict=True):
            kinds += [torch.ones(each.shape[1], dtype=torch.bool), piece < 0]
        is_audio = torch.cat(kinds)[None]
        length = length or is_audio.shape[1]
        # Text stands where it will be read, so that its turning angle is that of its place.
        text = student.embed_tokens(torch.cat(ids))[None]
        places = (~is_audio[0]).nonzero()[:, 0]
        below, _ = student.run(
            text, student.lower, is_audio=None,
            mask=torch.ones(text.shape[1], text.shape[1], dtype=torch.bool).tril()[None, None],
            position_ids=places[None],
        )  # fmt: skip
        states = torch.zeros(1, is_audio.shape[1], below.shape[2])
        states[~is_audio] = below[0]
        states[is_audio] = torch.cat(audio, dim=1)[0]
        above = blocks(states, student.upper, is_audio)
        said.append(int(student.logits(student.decoder.norm(above[:, -1])).argmax()))
    return said, length


@pytest.mark.parametrize(
    "artifact",
    [
        {"positions": "audio", "handover": "ctc"},
        {"positions": "all", "handover": "ctc", "attention": "chunked", "chunk_positions": 3},
    ],
    indirect=True,
    ids=["gated", "merged"],
)
def test_clips_of_several_turns_are_read_as_if_each_were_heard_alone(artifact, conversation):
    expected, length = by_hand(artifact, conversation, 12)
    reply = load_chat(artifact).reply(conversation, 12)
    assert list(reply._tokens) == expected
    assert reply.prompt_tokens == length


def test_a_stop_string_of_the_answer_cuts_it(artifact, clip):
    model, turns = load_chat(artifact), [Turn("user", (clip(1.0), "Transcribe."))]
    whole = "".join(model.reply(turns, 24))
    stop = whole[len(whole) // 2 :][:3]
    reply = model.reply(turns, 24, [stop])
    assert "".join(reply) == whole[: whole.index(stop)].rstrip()
    assert reply.finish_reason == "stop"
    assert reply.completion_tokens <= 24


def test_what_a_student_cannot_lay_out_is_refused(artifact, clip):
    model = load_chat(artifact)
    with pytest.raises(AuraError, match="hold no"):
        model.reply([Turn("user", (clip(1.0), "\u241aaudio\u241a"))], 4)
    with pytest.raises(TooManyPositionsError, match="the model has 2048"):
        model.reply([Turn("user", ("word " * 3000,))], 4)


@pytest.mark.parametrize("other", [torch.no_grad, torch.enable_grad])
def test_no_graph_is_kept_whatever_the_caller_does(artifact, clip, other):
    with other():
        tokens = load_chat(artifact).reply([Turn("user", (clip(0.3), "T"))], 2)
        assert len(list(tokens)) <= 2


def test_what_hears_nothing_or_is_no_model_is_refused(artifact_of, tmp_path):
    config = json.loads((artifact_of("all") / "train_config.json").read_text())
    changes = {"input": "text", "phases": [{"name": "read", "steps": 1, "distil": 0}]}
    (tmp_path / "train_config.json").write_text(json.dumps(config | changes))
    with pytest.raises(AuraError, match="hears nothing"):
        load_chat(str(tmp_path))
    with pytest.raises(AuraError, match="is no model"):
        load_chat(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["config.json", "train_config.json"])
def test_a_damaged_model_is_named(tmp_path, name):
    (tmp_path / name).write_text("{")
    with pytest.raises(AuraError, match=f"{tmp_path}/{name} is "):
        load_chat(str(tmp_path))
