"""A chat template whose messages may hold audio, around one that knows text only."""

# Parts are joined by a line break, as the training prompt has the audio and its instruction.
_FLATTEN = """\
{%- set flat = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- set parts = namespace(texts=[]) -%}
{%- if message['content'] is string -%}
{%- set parts.texts = [message['content']] -%}
{%- else -%}
{%- for part in message['content'] or [] -%}
{%- set parts.texts = parts.texts + ['AUDIO_TOKEN' if part['type'] == 'audio' else part['text']] -%}
{%- endfor -%}
{%- endif -%}
{%- set flat.messages = flat.messages + [dict(message, content=parts.texts | join('\\n'))] -%}
{%- endfor -%}
{%- set messages = flat.messages -%}
"""


def with_audio(template: str, audio_token: str) -> str:
    """Return `template` behind a preamble that turns content parts into one string.

    A message's content may then be a string, or a list of `{"type": "audio"}` and
    `{"type": "text", "text": ...}` parts; `audio_token` stands where the audio goes.
    """
    return _FLATTEN.replace("AUDIO_TOKEN", audio_token) + template
