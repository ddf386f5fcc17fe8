// The AI SDK with its providers for servers of OpenAI's and of Anthropic's form.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, isStepCount, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { MODEL, QUESTION, V1, WEATHER, raises, report } from "./checking.mjs";

const chat = createOpenAICompatible({
  name: "gateway", baseURL: V1, apiKey: "any", includeUsage: true,
  supportsStructuredOutputs: true,
});
const openai = createOpenAI({ baseURL: V1, apiKey: "any" });
const anthropic = createAnthropic({ baseURL: V1, apiKey: "any" });
const options = { temperature: 0, maxRetries: 0 };
const review = z.object({ mood: z.enum(["good", "bad"]), fine: z.boolean() });
const steps = isStepCount ?? stepCountIs;

function weather(cities) {
  return {
    get_weather: tool({
      description: "Get the current weather of a city",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => (cities.push(city), { condition: "sunny", temperature: 21 }),
    }),
  };
}

async function generated(model) {
  const answer = await generateText({ ...options, model, prompt: QUESTION });
  assert.match(answer.text, /Paris/);
  assert.equal(answer.finishReason, "stop");
  assert.ok(answer.usage.outputTokens > 0);
}

async function streamed(model) {
  let failure;
  const answer = streamText({
    ...options, model, prompt: QUESTION, onError: ({ error }) => (failure = error),
  });
  let text = "";
  for await (const part of answer.textStream) text += part;
  assert.equal(failure, undefined);
  assert.match(text, /Paris/);
  assert.equal(await answer.finishReason, "stop");
  assert.ok((await answer.usage).outputTokens > 0);
}

async function looped(model) {
  const cities = [];
  const answer = await generateText({
    ...options, model, prompt: WEATHER, tools: weather(cities), stopWhen: steps(4),
  });
  assert.deepEqual(cities, ["Oslo"]);
  assert.match(answer.text, /sunny/);
}

async function forced(model) {
  for (const toolChoice of ["required", { type: "tool", toolName: "get_weather" }]) {
    const answer = await generateText({
      ...options, model, prompt: WEATHER, tools: weather([]), toolChoice,
    });
    assert.equal(answer.toolCalls[0].toolName, "get_weather");
    assert.equal(answer.finishReason, "tool-calls");
  }
}

async function formed(model) {
  const answer = await generateText({
    ...options, model, prompt: "Oslo", output: Output.object({ schema: review }),
  });
  assert.equal(typeof answer.output.fine, "boolean");
}

await report({
  chat: () => generated(chat(MODEL)),
  stream: () => streamed(chat(MODEL)),
  async "tool loop"() {
    await looped(chat(MODEL));
    await looped(openai(MODEL));
    await looped(openai.chat(MODEL));
    await looped(anthropic(MODEL));
  },
  async "forced tool"() {
    await forced(chat(MODEL));
    await forced(openai(MODEL));
    await forced(anthropic(MODEL));
  },
  async form() {
    await formed(chat(MODEL));
    await formed(openai(MODEL));
    await formed(anthropic(MODEL));
  },
  async "form stream"() {
    const answer = streamText({
      ...options, model: chat(MODEL), prompt: "Oslo", output: Output.object({ schema: review }),
    });
    let last;
    for await (const part of answer.partialOutputStream) last = part;
    assert.equal(typeof last.mood, "string");
  },
  async responses() {
    await generated(openai(MODEL));
    await generated(openai.chat(MODEL));
  },
  "responses stream": () => streamed(openai(MODEL)),
  async anthropic() {
    await generated(anthropic(MODEL));
    await streamed(anthropic(MODEL));
  },
  async "unknown model"() {
    for (const provider of [chat, openai, anthropic]) {
      const error = await raises(APICallError, () =>
        generateText({ ...options, model: provider("nothing"), prompt: QUESTION }), "nothing");
      assert.equal(error.statusCode, 404);
      assert.equal(error.isRetryable, false);
    }
  },
});
