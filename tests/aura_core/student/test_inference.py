"""A student that was saved and loaded: batches, likelihoods and text, whatever its hand-over."""

import numpy as np
import pytest
import torch

from aura_core.student.inference import load_base, load_responder, load_student
from aura_core.student.prompts import Prompt

CPU = torch.device("cpu")
WAYS = {
    "gated": {"positions": "audio"},
    "merged": {"positions": "all", "attention": "chunked", "chunk_positions": 3},
    "ctc_gated": {"positions": "audio", "handover": "ctc"},
    "ctc_merged": {"positions": "all", "handover": "ctc", "attention": "causal"},
}
ANSWERS = ["turn it on", "no", "what a nice day it is today"]


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def artifact(request, artifact_of):
    return str(artifact_of(**request.param))


@pytest.fixture(scope="module")
def responder(artifact):
    return load_responder(artifact, CPU)


@pytest.fixture(scope="module")
def prompts(responder):
    """Clips of unequal lengths and questions of unequal lengths."""
    draw = np.random.default_rng(0)
    clips = [0.1 * draw.standard_normal(n).astype(np.float32) for n in (16000, 400, 26000)]
    asked = ["Transcribe.", "What is wanted of the assistant here?", "Say it."]
    heard = [responder.extract_features([clip])[0] for clip in clips]
    return [Prompt(text, input_features=each) for text, each in zip(asked, heard, strict=True)]


def test_an_answer_does_not_depend_on_its_batch(responder, prompts):
    together = responder.generate(prompts, 16)
    assert together == [responder.generate([prompt], 16)[0] for prompt in prompts]
    assert len(set(together)) == 3


def test_a_likelihood_is_that_of_the_tokens_one_by_one_whatever_the_batch(
    artifact, responder, prompts
):
    found = responder.log_likelihoods(list(zip(prompts, ANSWERS, strict=True)))
    student, chat, _ = load_student(artifact, CPU)
    for prompt, answer, together in zip(prompts, ANSWERS, found, strict=True):
        assert responder.log_likelihoods([(prompt, answer)]) == pytest.approx([together], rel=1e-4)
        alone = one_by_one(student, responder.batch([prompt]), chat.text(answer))
        assert alone == pytest.approx(together, rel=1e-4)


@torch.inference_mode()
def one_by_one(student, batch, ids):
    from transformers import DynamicCache

    cache = DynamicCache(config=student.causal_lm.config)
    prefilled, total = student.prefill(batch, cache), 0.0
    for token in ids:
        total += float(student.logits(prefilled.last).log_softmax(dim=-1)[0, token])
        prefilled = student.go_on(prefilled, torch.tensor([token]), cache)
    return total


@pytest.mark.parametrize("way", ["gated", "ctc_gated"])
def test_a_gated_student_is_on_text_the_llm_it_was(artifact_of, way):
    uri = str(artifact_of(**WAYS[way]))
    student, base = load_responder(uri, CPU), load_base(uri, CPU)
    prompts = [Prompt("Say.", text=text) for text in ("turn on the lamp", "no", "")]
    assert student.generate(prompts, 16) == base.generate(prompts, 16)
    said = list(zip(prompts, ANSWERS, strict=True))
    assert student.log_likelihoods(said) == base.log_likelihoods(said)
    assert student.text_log_likelihoods(ANSWERS) == base.text_log_likelihoods(ANSWERS)


def test_with_audio_a_gated_student_is_another_than_the_llm(responder, prompts):
    assert responder.generate(prompts[:1], 8) != responder.generate([Prompt("Transcribe.")], 8)
