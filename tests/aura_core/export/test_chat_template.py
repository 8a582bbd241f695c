"""Messages with audio parts, against the same messages written out by hand."""

import jinja2
import pytest

from aura_core.export.chat_template import with_audio
from aura_core.recipes import SHORT_CHATML


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
