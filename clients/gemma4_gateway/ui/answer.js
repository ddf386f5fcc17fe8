// One answer: what has come of it so far, and how it looks.
import { copyButton, element } from "./dom.js";
import { Markdown } from "./markdown.js";

/** Seconds, rates and counts in words. */
export function stats(times, usage) {
  const parts = [];
  if (times.first !== null) parts.push(`time to first token ${((times.first - times.start) / 1000).toFixed(2)} s`);
  const seconds = (times.last - times.first) / 1000;
  const tokens = usage?.completion_tokens;
  if (tokens > 1 && seconds > 0) parts.push(`${((tokens - 1) / seconds).toFixed(1)} tokens/s`);
  if (usage) parts.push(`${tokens} token${tokens === 1 ? "" : "s"} after a prompt of ${usage.prompt_tokens}`);
  return parts.join(" · ");
}

export class Answer {
  content = "";
  reasoning = "";
  calls = [];
  usage = null;
  finish = null;
  times = { start: performance.now(), first: null, last: null };
  #frame = 0;

  /** `follow` runs a change of the page and keeps its end in sight. */
  constructor(follow) {
    this.follow = follow;
    this.thoughts = element("div");
    this.summary = element("summary", { textContent: "Thinking" });
    this.folded = element("details", { className: "thoughts", hidden: true }, this.summary, this.thoughts);
    this.body = element("div", { className: "body" });
    this.callBox = element("div");
    this.stats = element("span", { className: "stats" });
    this.under = element("div", { className: "under" });
    this.box = element("li", { className: "turn answer busy", "aria-busy": "true" },
      element("h2", { textContent: "Model" }), this.folded, this.body, this.callBox, this.under);
    this.markdown = new Markdown(this.body);
  }

  /** Take a chunk of the stream. */
  take(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const delta = choice.delta ?? {};
    const thought = delta.reasoning_content ?? delta.reasoning ?? "";
    this.reasoning += thought;
    this.content += delta.content ?? "";
    for (const part of delta.tool_calls ?? []) this.#takeCall(part);
    if (choice.finish_reason) this.finish = choice.finish_reason;
    if (thought || delta.content || delta.tool_calls) {
      this.times.last = performance.now();
      this.times.first ??= this.times.last;
    }
    this.#frame ||= requestAnimationFrame(() => this.follow(() => this.draw()));
  }

  #takeCall(part) {
    const call = (this.calls[part.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
    call.id = part.id ?? call.id;
    call.function.name += part.function?.name ?? "";
    call.function.arguments += part.function?.arguments ?? "";
  }

  draw() {
    this.#frame = 0;
    this.folded.hidden = !this.reasoning;
    this.summary.textContent = this.content || this.calls.length || this.finish ? "Thoughts" : "Thinking…";
    this.thoughts.textContent = this.reasoning;
    this.markdown.show(this.content);
    if (this.calls.length !== this.callBox.childElementCount) {
      this.callBox.replaceChildren(...this.calls.map(() => callBox()));
    }
    this.calls.forEach((call, i) => fillCall(this.callBox.children[i], call));
  }

  /** It has ended: draw the rest, and say how fast it was. `note` goes before the figures. */
  end(note = "") {
    cancelAnimationFrame(this.#frame);
    this.draw();
    this.box.classList.remove("busy");
    this.box.removeAttribute("aria-busy");
    this.stats.textContent = [note, stats(this.times, this.usage)].filter(Boolean).join(" · ");
    this.under.replaceChildren(this.stats);
    if (this.content) this.under.append(copyButton(() => this.content, "Copy answer"));
  }

  get empty() {
    return !this.content && !this.calls.length;
  }

  /** The message to send back in the next turn. Thoughts are of use only while tools run. */
  message() {
    const made = { role: "assistant", content: this.content || null };
    if (this.calls.length) {
      made.tool_calls = this.calls;
      if (this.reasoning) made.reasoning_content = this.reasoning;
    }
    return made;
  }

  /** Ask for the result of each call; `send` gets the messages of role tool. */
  askForResults(send) {
    const fields = this.calls.map((call, i) => {
      const field = element("textarea", { rows: 2, className: "code", id: `result-${call.id}` });
      this.callBox.children[i].append(
        element("label", { htmlFor: field.id, textContent: `Result of ${call.function.name}` }), field);
      return field;
    });
    const button = element("button", { type: "button", className: "main-button", textContent: "Send results" });
    button.addEventListener("click", () => {
      button.remove();
      for (const field of fields) field.readOnly = true;
      send(this.calls.map((call, i) => ({ role: "tool", tool_call_id: call.id, content: fields[i].value })));
    });
    this.under.prepend(button);
    fields[0].focus();
  }
}

function callBox() {
  return element("details", { className: "call", open: true },
    element("summary", {}, "Tool call ", element("strong")), element("pre", { tabIndex: 0 }));
}

function fillCall(box, call) {
  box.querySelector("strong").textContent = call.function.name;
  let text = call.function.arguments;
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // not whole yet, or cut off
  }
  box.querySelector("pre").textContent = text;
}
