// The page: a conversation with the gateway that serves it.
import { Answer } from "./answer.js";
import { Failure, baseUrl, chat, models } from "./api.js";
import { byId, element } from "./dom.js";
import { explain } from "./errors.js";
import { Settings } from "./settings.js";

const settings = new Settings();
const log = byId("log");
const turns = byId("turns");
const notice = byId("notice");
const question = byId("question");
const model = byId("model");
const status = byId("status");
const ASK_AGAIN_MS = 3000;

let messages = [];
let running = null; // the AbortController of the answer that comes
let waitsForResults = false;
let lookLater = 0;
let againButton = null; // of the last answer

byId("base-url").textContent = baseUrl();

function show() {
  byId("welcome").hidden = turns.childElementCount > 0;
  byId("send").hidden = running !== null;
  byId("stop").hidden = running === null;
  byId("send").disabled = waitsForResults;
  question.placeholder = waitsForResults ? "Tool results come first" : "Your message";
}

/** Keep the end in sight, unless the user has scrolled up. */
function follow(change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function problem(failure, again) {
  const { title, text, out } = explain(failure);
  const box = element("div", { className: "problem", role: "alert" },
    element("p", {}, element("strong", { textContent: title })),
    ...[text, out].filter(Boolean).map((textContent) => element("p", { textContent })));
  if (again) {
    const button = element("button", { type: "button", textContent: "Try again" });
    button.addEventListener("click", again);
    box.append(button);
  }
  follow(() => notice.replaceChildren(box));
  if (failure.status === 401) settings.askForKey();
  if (failure.code === "model_not_found") findModels();
}

/** Fill the list of models; while the server is not ready, look again. */
async function findModels() {
  clearTimeout(lookLater);
  try {
    const names = await models(settings.key.value.trim());
    const chosen = names.includes(model.value) ? model.value : names[0];
    model.replaceChildren(...names.map((name) => new Option(name)));
    model.value = chosen;
    model.disabled = false;
    if (!running && !messages.length) notice.replaceChildren();
  } catch (error) {
    if (!messages.length) problem(error, findModels);
    const passes = error.kind === "unreachable" || error.status >= 500 || error.status === 429;
    if (passes) lookLater = setTimeout(findModels, ASK_AGAIN_MS);
  }
}

function body() {
  const first = settings.system ? [{ role: "system", content: settings.system }] : [];
  return { model: model.value, messages: [...first, ...messages], ...settings.options() };
}

/** Whether the settings can be sent; else the panel shows what is wrong. */
function settingsFit() {
  try {
    settings.options();
    return true;
  } catch (error) {
    status.textContent = error.message;
    return false;
  }
}

/** Ask for the next message of the model. */
async function run() {
  if (running || !settingsFit()) return;
  againButton?.remove();
  notice.replaceChildren();
  const answer = new Answer(follow);
  const controller = running = new AbortController();
  follow(() => turns.append(answer.box));
  status.textContent = "The model answers.";
  show();
  let failure = null;
  try {
    for await (const chunk of chat(body(), settings.key.value.trim(), controller.signal)) {
      answer.take(chunk);
    }
  } catch (error) {
    failure = error;
  }
  if (running !== controller) return; // a new chat has begun
  running = null;
  follow(() => {
    ended(answer, failure);
    show();
  });
}

function ended(answer, failure) {
  const stopped = failure?.name === "AbortError";
  const before = messages.length;
  const again = () => {
    if (running || !settingsFit()) return;
    messages.length = before;
    answer.box.remove();
    run();
  };
  if (failure && !stopped) {
    answer.end("broken off");
    if (answer.empty && !answer.reasoning) answer.box.remove();
    status.textContent = "";
    problem(failure instanceof Failure ? failure : new Failure("other", String(failure)), again);
    return;
  }
  answer.end(stopped ? "stopped" : answer.finish === "length" ? "cut off at Max tokens" : "");
  status.textContent = stopped ? "Stopped." : "The answer is complete.";
  if (!stopped && answer.calls.length) {
    messages.push(answer.message());
    waitsForResults = true;
    answer.askForResults((results) => {
      messages.push(...results);
      waitsForResults = false;
      run();
    });
    return;
  }
  if (answer.content) messages.push({ role: "assistant", content: answer.content });
  againButton = element("button", { type: "button", className: "small", textContent: "Answer again" });
  againButton.addEventListener("click", again);
  answer.under.append(againButton);
}

function ask(text) {
  messages = messages.at(-1)?.role === "user" ? messages.slice(0, -1) : messages; // never answered
  messages.push({ role: "user", content: text });
  turns.append(element("li", { className: "turn question" },
    element("h2", { textContent: "You" }), element("p", { textContent: text })));
  log.scrollTop = log.scrollHeight;
  run();
}

function grow() {
  question.rows = Math.min(10, question.value.split("\n").length);
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = question.value.trim();
  if (!text || running || waitsForResults || !settingsFit()) return;
  question.value = "";
  grow();
  ask(text);
});
question.addEventListener("input", grow);
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId("composer").requestSubmit();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && settings.panel.hidden) stop();
});
function stop() {
  running?.abort();
  question.focus();
}
byId("stop").addEventListener("click", stop);
byId("new").addEventListener("click", () => {
  const was = running;
  running = null;
  was?.abort();
  messages = [];
  waitsForResults = false;
  turns.replaceChildren();
  notice.replaceChildren();
  status.textContent = "A new chat.";
  show();
  question.focus();
});
settings.key.addEventListener("change", findModels);
show();
findModels();
