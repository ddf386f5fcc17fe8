// The anthropic package of npm.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { MODEL, QUESTION, URL_, WEATHER, raises, report } from "./checking.mjs";

const client = new Anthropic({ baseURL: URL_, apiKey: "any", maxRetries: 0 });
const ask = {
  model: MODEL, max_tokens: 200, temperature: 0, messages: [{ role: "user", content: QUESTION }],
};
const weather = { ...ask, messages: [{ role: "user", content: WEATHER }] };
const tools = [
  {
    name: "get_weather",
    description: "Get the current weather of a city",
    input_schema: {
      type: "object", properties: { city: { type: "string" } }, required: ["city"],
    },
  },
];

await report({
  async messages() {
    const answer = await client.messages.create(ask);
    assert.match(answer.content[0].text, /Paris/);
    assert.equal(answer.stop_reason, "end_turn");
    assert.ok(answer.usage.output_tokens > 0);
    assert.ok(answer._request_id);
  },
  async stream() {
    let text = "";
    const stream = client.messages.stream(ask).on("text", (delta) => (text += delta));
    const whole = await stream.finalMessage();
    assert.match(text, /Paris/);
    assert.equal(whole.content[0].text, text);
  },
  async tool() {
    for (const tool_choice of [{ type: "any" }, { type: "tool", name: "get_weather" }]) {
      const answer = await client.messages.create({ ...weather, tools, tool_choice });
      assert.equal(answer.stop_reason, "tool_use");
      assert.deepEqual(Object.keys(answer.content.at(-1).input), ["city"]);
      const streamed = await client.messages
        .stream({ ...weather, tools, tool_choice })
        .finalMessage();
      assert.equal(streamed.content.at(-1).name, "get_weather");
    }
  },
  async count() {
    const { model, messages } = ask;
    assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 5);
  },
  async "unknown model"() {
    const error = await raises(
      Anthropic.NotFoundError, () => client.messages.create({ ...ask, model: "nothing" }), "nothing",
    );
    assert.equal(error.error.error.type, "not_found_error");
  },
  async "too long"() {
    const messages = [{ role: "user", content: "word ".repeat(100_000) }];
    await raises(
      Anthropic.BadRequestError, () => client.messages.create({ ...ask, messages }),
      "prompt is too long",
    );
  },
});
