// What a failure is called, and the way out of it.

const sentence = (text) => (!text || /[.!?]$/.test(text) ? text : `${text}.`);

const BY_CODE = {
  missing_api_key: ["This server asks for an API key", "Enter it under Settings, then try again."],
  invalid_api_key: ["This API key is not known here",
    "Check it under Settings, or ask who runs this server for one."],
  missing_client_certificate: ["This server wants a client certificate",
    "Install one that its operator issued, then reload this page."],
  model_not_found: ["This model is no longer served", "Choose another one above, then try again."],
  context_length_exceeded: ["The conversation is too long for this model",
    "Start a new chat, or lower Max tokens under Settings."],
  body_too_large: ["The message is too large", "Send less of it at once."],
  draining: ["The server is about to stop", "Try again when it is back."],
};

const BY_STATUS = {
  400: ["The server refused the request", "Change what it names, then try again."],
  401: BY_CODE.missing_api_key,
  403: ["The server does not let you in", "Ask who runs it."],
  404: ["There is no such API here", "Check the address of this page."],
  408: ["The message did not arrive in time", "Check the connection, then try again."],
  413: BY_CODE.body_too_large,
  429: ["The server has too much to do, or your key has reached its limit", "Try again"],
  502: ["The proxy before the server has no answer from it", "Try again in a moment."],
  503: ["The server is not ready", "Try again"],
  504: ["The answer took too long", "Ask for a shorter one, or try again later."],
};

/** Return title, text and way out of a Failure. */
export function explain(failure) {
  if (failure.kind === "unreachable") {
    return {
      title: "No connection to the server",
      text: `${location.host} cannot be reached.`,
      out: "Check that the server runs and that this device is connected, then try again.",
    };
  }
  if (failure.kind === "lost") {
    return {
      title: "The connection was lost",
      text: "It broke in the middle of the answer.",
      out: "Check that the server runs, then try again: the answer begins anew.",
    };
  }
  if (failure.kind !== "refused") {
    return { title: "This page failed", text: String(failure.message ?? failure),
      out: "Reload it; the conversation is lost then." };
  }
  let [title, out] = BY_CODE[failure.code] ?? BY_STATUS[failure.status]
    ?? ["The server failed", "Try again; if it stays so, tell who runs the server."];
  if (out === "Try again") {
    const wait = failure.retryAfter;
    out = wait > 1 ? `Try again in ${wait} seconds.` : "Try again in a moment.";
  }
  const known = failure.status && failure.status < 500;
  const id = known || !failure.requestId ? "" : ` Its log has this under ${failure.requestId}.`;
  return { title, text: sentence(failure.message ?? "") + id, out };
}
