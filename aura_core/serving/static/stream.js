// The chat completions of this server, as they come.

// Calls `onpiece(text)` on the way; resolves to {first_ms, all_ms, tokens, reason}.
export async function ask(model, data, question, onpiece) {
  const content = [
    { type: "input_audio", input_audio: { data, format: "wav" } },
    { type: "text", text: question },
  ];
  const body = JSON.stringify({
    model, messages: [{ role: "user", content }], stream: true,
    stream_options: { include_usage: true },
  });
  const began = performance.now();
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/v1/chat/completions", { method: "POST", headers, body });
  if (!response.ok) throw new Error((await response.json()).error.message);
  const told = { first_ms: null, prompt: 0, tokens: 0, reason: null };
  for await (const event of events(response.body)) {
    if (event.error) throw new Error(event.error.message);
    if (event.usage) {
      told.prompt = event.usage.prompt_tokens;
      told.tokens = event.usage.completion_tokens;
    }
    const choice = event.choices[0];
    if (!choice) continue;
    told.first_ms ??= performance.now() - began;
    told.reason ??= choice.finish_reason;
    if (choice.delta.content) onpiece(choice.delta.content);
  }
  return { ...told, all_ms: performance.now() - began };
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      const data = line.replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
