"""An exported model against the student it was made of."""

import json
import shutil

import jinja2
import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModelForCausalLM, AutoProcessor, DynamicCache

from aura_core.artifacts.manifest import Manifest, write_manifest
from aura_core.config.recipes import SHORT_CHATML
from aura_core.config.train import TrainConfig
from aura_core.device import compute_dtype, precision_name
from aura_core.errors import AuraError
from aura_core.evaluation.find import AUTO_PRECISION
from aura_core.export.folder import evaluated_precision, export_mode, export_student, with_audio
from aura_core.export.remote.modeling_aura import AuraForConditionalGeneration
from aura_core.student.batch import Continuation, Layout, collate
from aura_core.student.decoding import decode_greedy
from aura_core.student.inference import load_student
from aura_core.student.student import Student


def render(template, messages, **variables):
    # As transformers compiles it.
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=messages, **variables)


def user(content):
    return {"role": "user", "content": content}


AUDIO = {"type": "audio"}


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ("Hello", "Hello"),
        ([{"type": "text", "text": "Hello"}], "Hello"),
        ([AUDIO, {"type": "text", "text": "Who?"}], "<|audio|>\nWho?"),
        ([AUDIO, AUDIO], "<|audio|>\n<|audio|>"),
        ([], ""),
        (None, ""),
    ],
)
def test_parts_become_one_string(content, written):
    template = with_audio(SHORT_CHATML, "<|audio|>")
    found = render(template, [user(content)], add_generation_prompt=True)
    assert found == render(SHORT_CHATML, [user(written)], add_generation_prompt=True)
    assert written in found


def test_turns_keep_their_order_roles_and_other_fields():
    template = with_audio(
        "{% for m in messages %}{{ m.role }}/{{ m.name }}: {{ m.content }};{% endfor %}", "<a>"
    )
    turns = [
        {"role": "system", "content": "Be brief.", "name": "s"},
        {"role": "user", "content": [AUDIO], "name": "u"},
        {"role": "assistant", "content": "Yes", "name": "b"},
    ]
    assert render(template, turns) == "system/s: Be brief.;user/u: <a>;assistant/b: Yes;"


CPU = torch.device("cpu")

ASKED = [{"type": "audio"}, {"type": "text", "text": "Transcribe."}]
WAYS = {
    "gated": {"positions": "audio"},
    "gated_chunked": {
        "positions": "audio", "attention": "chunked", "chunk_positions": 3, "floor": "fixed",
    },
    "gated_causal": {"positions": "audio", "attention": "causal"},
    "gated_patch": {"positions": "audio", "stem": "patch"},
    "merged": {"positions": "all"},
    "gated_ctc": {"positions": "audio", "handover": "ctc"},
    "gated_ctc_chunked": {
        "positions": "audio", "handover": "ctc", "attention": "chunked", "chunk_positions": 3,
    },
    "merged_ctc": {"positions": "all", "handover": "ctc"},
}  # fmt: skip


def clip(seconds, seed=0):
    """Noise that fades, so that a floor under the log-mel is heard."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * 16000))
    return (np.geomspace(0.1, 1e-5, len(noise)) * noise).astype(np.float32)


CLIPS = [clip(1.3, 0), clip(0.4, 1), clip(2.07, 2)]


@pytest.fixture(scope="module", params=WAYS)
def exported(request, artifact_of, tmp_path_factory):
    """(artifact, processor, model): a student, and what a user loads of its export."""
    artifact = artifact_of(**WAYS[request.param])
    folder = tmp_path_factory.mktemp("export") / "model"
    assert export_student(str(artifact), folder) == request.param.partition("_")[0]
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    return artifact, processor, model


def prompt(processor, content=ASKED):
    return processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )


def layouts(student, chat, features):
    assert student.audio_embedding is not None
    return [
        Layout(
            chat.prefix,
            int(student.audio_embedding.num_tokens(torch.tensor(len(each)))),
            [],
            [Continuation(chat.suffix("Transcribe."), [])],
        )
        for each in features
    ]


def generated(model, inputs, **kwargs):
    ids = model.generate(**inputs, max_new_tokens=12, min_new_tokens=12, **kwargs)
    return ids[:, inputs["input_ids"].shape[1] :]


@torch.no_grad()
def test_logits_are_the_students(exported):
    artifact, processor, model = exported
    student, chat, ear = load_student(str(artifact), CPU)
    [heard] = ear(CLIPS[:1])
    batch = collate(layouts(student, chat, [heard]), [heard])
    hidden = student(batch)
    expected = student.logits(hidden.last)
    inputs = processor(text=prompt(processor), audio=CLIPS[0], sampling_rate=16000)
    logits = model(**inputs).logits
    assert logits.shape[1] == batch.input_ids.shape[1]
    # A hand-over drops positions, whose logits are zero.
    dropped = (logits == 0).all(dim=-1)
    torch.testing.assert_close(logits[~dropped][None], expected, atol=2e-3, rtol=1e-3)
    assert dropped.sum() == batch.input_ids.shape[1] - hidden.read.input_ids.shape[1]
    assert not dropped[~batch.is_audio].any()
    other = processor(text=prompt(processor), audio=clip(1.3, 9), sampling_rate=16000)
    assert (model(**other).logits - logits)[:, -1].abs().max() > 0.1


def test_greedy_answers_are_the_students_alone_and_in_a_batch(exported):
    artifact, processor, model = exported
    student, chat, ear = load_student(str(artifact), CPU)
    heard = ear(CLIPS)
    expected = decode_greedy(
        student, collate(layouts(student, chat, heard), heard), end_ids=[-1], max_new_tokens=12
    )
    inputs = processor(text=[prompt(processor)] * len(CLIPS), audio=CLIPS, sampling_rate=16000)
    # eos_token_id as the student's decoding above: none.
    together = generated(model, inputs, eos_token_id=-1).tolist()
    assert together == expected
    for each, answer in zip(CLIPS, expected, strict=True):
        alone = processor(text=prompt(processor), audio=each, sampling_rate=16000)
        assert generated(model, alone, eos_token_id=-1).tolist() == [answer]


def test_cached_generation_is_the_uncached(exported):
    _, processor, model = exported
    inputs = processor(text=prompt(processor), audio=CLIPS[2], sampling_rate=16000)
    cached, uncached = (generated(model, inputs, use_cache=each) for each in (True, False))
    assert torch.equal(cached, uncached)


@torch.no_grad()
def test_the_projects_own_class_loads_it_and_eager_attention_agrees(exported):
    _, processor, model = exported
    folder = model.config._name_or_path
    inputs = processor(text=prompt(processor), audio=CLIPS[0], sampling_rate=16000)
    own = AuraForConditionalGeneration.from_pretrained(folder)
    assert torch.equal(own(**inputs).logits, model(**inputs).logits)
    eager = AuraForConditionalGeneration.from_pretrained(folder, attn_implementation="eager")
    torch.testing.assert_close(eager(**inputs).logits, model(**inputs).logits, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_two_clips_in_a_chat_hear_the_first_as_if_it_were_alone(exported):
    _, processor, model = exported
    first = processor(text=prompt(processor), audio=CLIPS[0], sampling_rate=16000)
    turns = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": ASKED},
    ]
    text = processor.apply_chat_template(turns, add_generation_prompt=True)
    both = processor(text=text, audio=CLIPS[:2], sampling_rate=16000)
    length = first["input_ids"].shape[1]
    torch.testing.assert_close(
        model(**both).logits[:, :length], model(**first).logits, atol=1e-3, rtol=1e-3
    )


def test_a_conversation_goes_on_from_its_cache(exported):
    _, processor, model = exported
    first = processor(text=prompt(processor), audio=CLIPS[0], sampling_rate=16000)
    cache = DynamicCache(config=model.config.text_config)
    with torch.no_grad():
        model(**first, cache=cache, use_cache=True)
    more = torch.tensor([[5, 6, 7]])
    mask = torch.cat([first["attention_mask"], torch.ones_like(more)], dim=1)
    ids = torch.cat([first["input_ids"], more], dim=1)
    with torch.no_grad():
        cached = model(input_ids=more, attention_mask=mask, cache=cache).logits
        whole = model(**{**first, "input_ids": ids, "attention_mask": mask}).logits
    torch.testing.assert_close(cached, whole[:, -3:], atol=1e-3, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("positions", ["audio", "all"])
def test_a_gated_model_is_the_base_llm_on_text_bit_for_bit(
    artifact_of, tiny_llm, tmp_path, positions
):
    export_student(str(artifact_of(positions)), tmp_path / "model")
    model = AuraForConditionalGeneration.from_pretrained(tmp_path / "model")
    base = AutoModelForCausalLM.from_pretrained(tiny_llm)
    ids = torch.tensor([[5, 6, 7, 8, 900]])
    same = torch.equal(model(input_ids=ids).logits, base(input_ids=ids).logits)
    assert same == (positions == "audio")


@torch.no_grad()
def test_merged_weights_do_what_unmerged_ones_do(artifact_of, tmp_path):
    from peft import PeftModel

    from aura_core.models.llm import load_llm

    artifact = artifact_of("all")
    export_student(str(artifact), tmp_path / "model")
    model = AuraForConditionalGeneration.from_pretrained(tmp_path / "model")
    student, chat, ear = load_student(str(artifact), CPU)
    llm, _ = load_llm(
        TrainConfig.model_validate_json((artifact / "train_config.json").read_text()).llm,
        torch.float32,
    )
    unmerged = Student(PeftModel.from_pretrained(llm, artifact / "adapter"),
                       student.audio_embedding).eval()  # fmt: skip
    [heard] = ear(CLIPS[:1])
    expected = unmerged.logits(unmerged(collate(layouts(student, chat, [heard]), [heard])).last)
    processor = AutoProcessor.from_pretrained(tmp_path / "model", trust_remote_code=True)
    inputs = processor(text=prompt(processor), audio=CLIPS[0], sampling_rate=16000)
    torch.testing.assert_close(model(**inputs).logits, expected, atol=2e-3, rtol=1e-3)


def test_saved_again_as_for_the_hub_it_is_whole(exported, tmp_path):
    """What `push_to_hub` uploads is what `save_pretrained` writes."""
    _, processor, model = exported
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=True)
    inputs = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True)(
        text=prompt(processor), audio=CLIPS[0], sampling_rate=16000
    )
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, model(**inputs).logits)


@pytest.fixture(scope="module")
def processor(artifact_of, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    export_student(str(artifact_of()), folder)
    return AutoProcessor.from_pretrained(folder, trust_remote_code=True)


def test_files_of_any_rate_are_read_and_resampled(processor, tmp_path):
    time_s = np.arange(44100) / 44100
    tone = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "stereo.wav", np.stack([tone, tone], axis=1), 44100)
    read = processor(text=prompt(processor), audio=str(tmp_path / "stereo.wav"))
    direct = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    given = processor(text=prompt(processor), audio=direct, sampling_rate=16000)
    assert torch.equal(read["input_ids"], given["input_ids"])
    heard, expected = read["input_features"], given["input_features"]
    # The loudest mel bin, away from the edges.
    assert torch.equal(heard.argmax(dim=1)[:, 5:-5], expected.argmax(dim=1)[:, 5:-5])


@pytest.mark.parametrize(
    ("audio", "rate", "reason"),
    [
        (None, None, "1 .* in the text, 0 clips"),
        ([CLIPS[0], CLIPS[1]], 16000, "1 .* in the text, 2 clips"),
        (CLIPS[0], None, "sampling_rate"),
        (np.zeros(0, np.float32), 16000, "no samples"),
        (np.zeros(31 * 16000, np.float32), 16000, r"31\.0 s: at most 30 s"),
    ],
)
def test_what_cannot_be_heard_is_refused_with_its_reason(processor, audio, rate, reason):
    with pytest.raises(ValueError, match=reason):
        processor(text=prompt(processor), audio=audio, sampling_rate=rate)


def test_text_content_may_be_a_plain_string(processor):
    text = processor.apply_chat_template([{"role": "user", "content": "Hello"}])
    assert text == "<|im_start|>user\nHello<|im_end|>\n"


def test_files_have_one_mode_and_no_warning_is_of_our_making(artifact_of, tmp_path, recwarn):
    export_student(str(artifact_of()), tmp_path / "model", origin="made here")
    files = [each for each in (tmp_path / "model").rglob("*") if each.is_file()]
    assert len({each.stat().st_mode for each in files}) == 1
    assert not [each for each in recwarn if "is_gradient_checkpointing" in str(each.message)]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["origin"] == "made here"
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model", trust_remote_code=True)
    assert loaded.config.origin == "made here"


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_are_in_the_precision_of_the_evaluation(artifact_of, tmp_path, precision):
    artifact = tmp_path / "distil" / "abc"
    shutil.copytree(artifact_of(), artifact)
    trained = artifact / "train_config.json"
    trained.write_text(trained.read_text().replace('"precision": "fp32"', '"precision": "auto"'))
    evaluation = Manifest(
        stage="evaluate", stage_version=1, fingerprint="f", identity={}, files=[],
        inputs={"distil": str(artifact)}, metrics={AUTO_PRECISION: precision},
    )  # fmt: skip
    write_manifest(str(tmp_path / "evaluate" / "def"), evaluation)
    config = TrainConfig.model_validate_json(trained.read_text())
    assert evaluated_precision(str(artifact), str(tmp_path), config) == precision
    export_student(str(artifact), tmp_path / "model", precision=precision)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    said = json.loads((tmp_path / "model" / "config.json").read_text())["dtype"]
    assert said == str(dtype).removeprefix("torch.")
    model = AuraForConditionalGeneration.from_pretrained(tmp_path / "model")
    assert {each.dtype for each in model.llm.parameters()} == {dtype}
    assert {each.dtype for each in model.audio_embedding.parameters()} == {torch.float32}


def test_without_an_evaluation_the_precision_is_that_of_this_machine(tmp_path):
    here = precision_name(compute_dtype("auto", CPU))
    assert evaluated_precision("distil/abc", str(tmp_path), config(precision="auto")) == here
    assert evaluated_precision("distil/abc", str(tmp_path), config(precision="bf16")) == "bf16"


def config(**changes):
    phases = [{"name": "learn", "steps": 1, "distil": 0.0}]
    return TrainConfig.model_validate({"input": "audio", "phases": phases, **changes})


@pytest.mark.parametrize(
    ("changes", "mode", "reason"),
    [
        ({"lora": {"positions": "audio"}}, "merged", "audio positions only"),
        ({"lora": {"positions": "all"}}, "gated", "no gate"),
        ({"audio_embedding": {"stem": "encoder"}}, None, "bridge"),
        ({"input": "text", "lora": {"positions": "all"}}, None, "hears nothing"),
    ],
)
def test_a_mode_that_is_not_exact_is_refused(changes, mode, reason):
    with pytest.raises(AuraError, match=reason):
        export_mode(config(**changes), mode)


def test_a_folder_in_use_is_left_alone(artifact_of, tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(AuraError, match="not an empty folder"):
        export_student(str(artifact_of()), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
