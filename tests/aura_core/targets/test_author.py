"""The real LLM answers, and its logits are those of its answers."""

import pytest
import torch

from aura_core.artifacts.manifest import publish_manifest
from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.run import TargetsConfig
from aura_core.student.inference import load_responder, load_student
from aura_core.student.prompts import Prompt
from aura_core.targets.answers import open_targets, part_name, write_part
from aura_core.targets.author import TargetGenerator

CPU = torch.device("cpu")

ROWS = [
    {"key": "one", "text": "What is the capital of France?", "instruction": None, "response": None},
    {"key": "two", "text": "Say hi.", "instruction": "Answer.", "response": "hi"},
]
CONFIG = TargetsConfig(self_generated=True, instruction="Be brief.", max_new_tokens=24, top_k=3)


@pytest.fixture(scope="module")
def made(text_lora):
    return TargetGenerator(text_lora, CONFIG).write(ROWS)


@pytest.fixture(scope="module")
def targets(made, tmp_path_factory):
    uri = str(tmp_path_factory.mktemp("targets"))
    write_part(uri, 0, made)
    publish_manifest(
        uri, ([part_name(0)], {}, {}), stage="targets", stage_version=1, fingerprint="0" * 64,
        identity=CONFIG.identity(), inputs={}, provenance={},
    )  # fmt: skip
    return open_targets(uri)


def test_an_utterance_has_its_transcript_its_response_and_the_llms_own_answer(made):
    assert [(row["key"], row["kind"]) for row in made] == [
        ("one", "transcript"), ("one", "self_generated"),
        ("two", "transcript"), ("two", "response"), ("two", "self_generated"),
    ]  # fmt: skip
    assert made[3]["response"] == "hi"


def test_the_own_answer_is_what_the_llm_says_to_the_transcript(made, text_lora):
    prompt = Prompt(CONFIG.instruction, text=ROWS[0]["text"])
    (answer,) = load_responder(text_lora, CPU).generate([prompt], CONFIG.max_new_tokens)
    assert "Paris" in answer
    assert made[1]["response"] == answer


def test_the_likeliest_tokens_of_a_greedy_answer_are_the_answer(targets, text_lora):
    _, chat, _ = load_student(text_lora, CPU)
    own = next(target for target in targets.of("one") if target.kind == "self_generated")
    assert own.top_ids[:, 0].tolist() == chat.response(own.response)
    assert own.top_logprobs.shape == own.top_ids.shape == (len(own.top_ids), CONFIG.top_k)
    assert bool((own.top_logprobs.diff(dim=1) <= 0).all())
    assert bool((own.top_logprobs.exp().sum(dim=1) <= 1 + 1e-5).all())


def test_a_question_decides_what_is_likely(targets):
    said = next(target for target in targets.of("one") if target.kind == "transcript")
    assert said.response == ROWS[0]["text"]
    assert CONFIG.instruction != TRANSCRIBE
    assert not torch.equal(said.top_ids[:2], targets.of("one")[-1].top_ids[:2])


def test_an_answer_without_an_end_is_left_out_and_told(text_lora):
    config = CONFIG.model_copy(update={"max_new_tokens": 2, "top_k": 0})
    (_, own) = TargetGenerator(text_lora, config).write(ROWS[:1])
    assert (own["kind"], own["response"], own["top_ids"]) == ("self_generated", None, [])
