// The openai package of npm: chat completions and responses.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { MODEL, QUESTION, V1, WEATHER, raises, report } from "./checking.mjs";

const client = new OpenAI({ baseURL: V1, apiKey: "any", maxRetries: 0 });
const options = { model: MODEL, temperature: 0 };
const ask = { ...options, messages: [{ role: "user", content: QUESTION }] };
const review = z.object({ mood: z.enum(["good", "bad"]), fine: z.boolean() });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const tools = [
  {
    type: "function",
    function: { name: "get_weather", description: "Get the current weather of a city", parameters },
  },
];
const long = "word ".repeat(100_000);

await report({
  async chat() {
    const answer = await client.chat.completions.create(ask);
    assert.match(answer.choices[0].message.content, /Paris/);
    assert.equal(answer.choices[0].finish_reason, "stop");
    assert.ok(answer.usage.completion_tokens > 0);
    assert.ok(answer._request_id);
  },
  async stream() {
    const stream = client.chat.completions.stream({
      ...ask,
      stream_options: { include_usage: true },
    });
    let text = "";
    stream.on("content", (delta) => (text += delta));
    const whole = await stream.finalChatCompletion();
    assert.match(text, /Paris/);
    assert.equal(whole.choices[0].message.content, text);
    assert.ok((await stream.totalUsage()).completion_tokens > 0);
  },
  async tool() {
    const messages = [{ role: "user", content: WEATHER }];
    const named = { type: "function", function: { name: "get_weather" } };
    for (const tool_choice of ["required", named]) {
      const answer = await client.chat.completions.create({
        ...options, messages, tools, tool_choice,
      });
      const [call] = answer.choices[0].message.tool_calls;
      assert.equal(call.function.name, "get_weather");
      assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
    }
  },
  async "tool loop"() {
    const cities = [];
    const runner = client.chat.completions.runTools({
      ...options,
      messages: [{ role: "user", content: WEATHER }],
      tools: [
        {
          type: "function",
          function: {
            ...tools[0].function,
            parse: JSON.parse,
            function: ({ city }) => (cities.push(city), '{"condition": "sunny"}'),
          },
        },
      ],
    });
    assert.match(await runner.finalContent(), /sunny/);
    assert.deepEqual(cities, ["Oslo"]);
  },
  async form() {
    const answer = await client.chat.completions.parse({
      ...ask, response_format: zodResponseFormat(review, "review"),
    });
    assert.equal(typeof answer.choices[0].message.parsed.fine, "boolean");
  },
  async responses() {
    const answer = await client.responses.create({ ...options, input: QUESTION });
    assert.equal(answer.status, "completed");
    assert.match(answer.output_text, /Paris/);
    const next = await client.responses.create({
      ...options, input: QUESTION, previous_response_id: answer.id,
    });
    assert.equal(next.previous_response_id, answer.id);
    const called = await client.responses.create({
      ...options, input: WEATHER, tool_choice: "required",
      tools: [{ type: "function", name: "get_weather", parameters, strict: false }],
    });
    assert.equal(called.output.at(-1).name, "get_weather");
  },
  async "responses stream"() {
    const stream = client.responses.stream({ ...options, input: QUESTION });
    let text = "";
    stream.on("response.output_text.delta", (event) => (text += event.delta));
    const whole = await stream.finalResponse();
    assert.match(text, /Paris/);
    assert.equal(whole.output_text, text);
  },
  async "responses form"() {
    const answer = await client.responses.parse({
      ...options, input: "Oslo", text: { format: zodTextFormat(review, "review") },
    });
    assert.equal(typeof answer.output_parsed.mood, "string");
  },
  async cancel() {
    const stream = await client.chat.completions.create({
      ...ask, stream: true, min_tokens: 1500, max_tokens: 1500,
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) break;
    }
    assert.ok(stream.controller.signal.aborted);
    assert.ok((await client.chat.completions.create(ask)).choices[0].message.content);
  },
  async "unknown model"() {
    const error = await raises(
      OpenAI.NotFoundError,
      () => client.chat.completions.create({ ...ask, model: "nothing" }),
      "nothing",
    );
    assert.equal(error.code, "model_not_found");
    await raises(OpenAI.NotFoundError, () =>
      client.responses.create({ model: "nothing", input: QUESTION }));
  },
  async "too long"() {
    const messages = [{ role: "user", content: long }];
    const error = await raises(OpenAI.BadRequestError, () =>
      client.chat.completions.create({ ...ask, messages }));
    assert.equal(error.code, "context_length_exceeded");
  },
});
