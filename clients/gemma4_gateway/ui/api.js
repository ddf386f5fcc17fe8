// The gateway's API, at paths beside this page, so that it also works behind a prefix.
import { events } from "./sse.js";

/** What went wrong: `kind` is "refused" (the server said so), "unreachable", "lost" or "other". */
export class Failure extends Error {
  constructor(kind, message = "", details = {}) {
    super(message);
    this.kind = kind;
    this.status = details.status ?? 0;
    this.code = details.code ?? "";
    this.retryAfter = details.retryAfter ?? 0;
    this.requestId = details.requestId ?? "";
  }
}

export const baseUrl = () => new URL("v1", document.baseURI).href;

async function call(path, key, options = {}) {
  const headers = { accept: "application/json", ...options.headers };
  if (key) headers.authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("unreachable");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  const details = {
    status: response.status,
    retryAfter: Number(response.headers.get("retry-after")) || 0,
    requestId: response.headers.get("x-request-id") ?? "",
  };
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    // a proxy's own page: the status says enough
  }
  return new Failure("refused", error.message, { ...details, code: error.code });
}

/** The names of the models. */
export async function models(key) {
  const list = await (await call("v1/models", key)).json();
  return list.data.map((model) => model.id);
}

/** The chunks of a chat completion. Ends early only with a Failure, or with AbortError. */
export async function* chat(body, key, signal) {
  const response = await call("v1/chat/completions", key, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  const requestId = response.headers.get("x-request-id") ?? "";
  try {
    for await (const data of events(response)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) {
        throw new Failure("refused", chunk.error.message, { code: chunk.error.code, requestId });
      }
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Failure || error.name === "AbortError") throw error;
    throw new Failure("lost");
  }
  throw new Failure("lost");
}
