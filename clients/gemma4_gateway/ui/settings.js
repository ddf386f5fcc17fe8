// The panel: what the user has set. The API key stays in the tab, the rest in this browser.
import { byId } from "./dom.js";

const FIELDS = { system: "value", temperature: "value", "max-tokens": "value", thinking: "checked", tools: "value" };
const STORED = "gemma4-chat";

/** Storage that a browser may refuse to give. */
function storage(kind) {
  try {
    return window[kind];
  } catch {
    return null;
  }
}

export class Settings {
  constructor() {
    this.panel = byId("settings");
    this.opener = byId("open-settings");
    this.key = byId("key");
    this.key.value = storage("sessionStorage")?.getItem(STORED) ?? "";
    this.#load();
    byId("settings-form").addEventListener("input", () => this.#save());
    byId("settings-form").addEventListener("submit", (event) => event.preventDefault());
    this.opener.addEventListener("click", () => this.show(this.panel.hidden));
    byId("close-settings").addEventListener("click", () => this.show(false));
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.show(false);
    });
    if (this.key.value) byId("key-field").hidden = false;
  }

  show(open) {
    this.panel.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    if (open) this.panel.querySelector("input:not([type=checkbox]), textarea").focus();
    else this.opener.focus();
  }

  /** The server asks for a key: show the field, and go to it. */
  askForKey() {
    byId("key-field").hidden = false;
    this.show(true);
    this.key.focus();
    this.key.select();
  }

  /** The parts of a request. Throws Error with what is wrong with a field; then the panel shows it. */
  options() {
    const found = {};
    for (const [id, name] of [["temperature", "temperature"], ["max-tokens", "max_tokens"]]) {
      const field = byId(id);
      if (!field.checkValidity()) {
        this.show(true);
        field.reportValidity();
        throw new Error(`${field.labels[0].textContent}: ${field.validationMessage}`);
      }
      if (field.value !== "") found[name] = Number(field.value);
    }
    const tools = this.#tools();
    if (tools.length) found.tools = tools;
    if (byId("thinking").checked) found.reasoning_effort = "medium";
    return found;
  }

  get system() {
    return byId("system").value.trim();
  }

  #tools() {
    const text = byId("tools").value.trim();
    const said = byId("tools-error");
    said.textContent = "";
    if (!text) return [];
    try {
      const tools = JSON.parse(text);
      if (!Array.isArray(tools)) throw new Error("must be a JSON list");
      return tools;
    } catch (error) {
      this.show(true);
      said.textContent = `Tools: ${error.message}`;
      byId("tools").focus();
      throw new Error(`Tools: ${error.message}`);
    }
  }

  #save() {
    const kept = Object.fromEntries(Object.entries(FIELDS).map(([id, of]) => [id, byId(id)[of]]));
    storage("localStorage")?.setItem(STORED, JSON.stringify(kept));
    storage("sessionStorage")?.setItem(STORED, this.key.value.trim());
  }

  #load() {
    let kept = {};
    try {
      kept = JSON.parse(storage("localStorage")?.getItem(STORED) ?? "{}");
    } catch {
      // of another version of this page: begin with the defaults
    }
    for (const [id, of] of Object.entries(FIELDS)) {
      if (typeof kept[id] === typeof byId(id)[of]) byId(id)[of] = kept[id];
    }
  }
}
