import pytest
import torch

from aura_core.chat.load import load_chat
from aura_core.chat.reply import TooManyPositionsError
from aura_core.chat.students import CascadeChat
from aura_core.errors import AuraError
from aura_core.student.inference import load_responder, load_student
from aura_core.student.prompts import Prompt
from aura_core.turns import Turn

WAYS = [{"positions": "audio"}, {"positions": "all", "attention": "chunked", "chunk_positions": 3}]


@pytest.fixture(scope="module", params=WAYS, ids=["gated", "merged"])
def artifact(request, artifact_of):
    return str(artifact_of(**request.param))


@pytest.mark.parametrize("seconds", [0.3, 1.3])
def test_pieces_are_what_the_evaluation_is_answered(artifact, clip, seconds):
    responder, audio = load_responder(artifact), clip(seconds)
    prompt = Prompt("Transcribe.", input_features=responder.listen([audio])[0])
    reply = load_chat(artifact).reply([Turn("user", (audio, "Transcribe."))], 24)
    pieces = list(reply)
    assert len(pieces) > 2
    assert "".join(pieces) == responder.generate([prompt], 24)[0]


class Reader:
    """Stands for the ASR."""

    def transcribe(self, audios):
        return [f"transcript of {len(audio)}" for audio in audios]


def test_a_cascade_answers_as_in_the_evaluation(artifact, clip):
    student, chat, _ = load_student(artifact)
    responder = load_responder(artifact)
    cascade = CascadeChat(student, chat, Reader())
    reply = cascade.reply([Turn("user", (clip(1.0), "What?"))], 24)
    expected = responder.generate([Prompt("What?", text="transcript of 16000")], 24)[0]
    assert "".join(reply) == expected
    batch = responder.batch([Prompt("What?", text="transcript of 16000")])
    assert reply.prompt_tokens == batch.input_ids.shape[1]


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


def test_a_stop_string_of_the_answer_cuts_it(artifact, clip):
    model, turns = load_chat(artifact), [Turn("user", (clip(1.0), "Transcribe."))]
    whole = "".join(model.reply(turns, 24))
    stop = whole[len(whole) // 2 :][:3]
    reply = model.reply(turns, 24, [stop])
    assert "".join(reply) == whole[: whole.index(stop)].rstrip()
    assert reply.finish_reason == "stop"
    assert reply.completion_tokens <= 24


def test_what_cannot_be_laid_out_is_refused(artifact, clip):
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
