// The inside of a paragraph: emphasis, code, links. One pass; a mark without its end is text.
import { element } from "./dom.js";

const DEEPEST = 8;
const LONGEST_LINK = 2000;
const MARKS = [["**", "strong"], ["__", "strong"], ["~~", "del"], ["*", "em"], ["_", "em"]];
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const URL_START = /^(?:https?:\/\/|mailto:)/i;

/** Return nodes for `text`. */
export function inline(text, depth = 0) {
  return new Scanner(text, depth).run();
}

class Scanner {
  #nodes = [];
  #plain = "";
  #unclosed = new Set(); // marks that have no end from here on

  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.at = 0;
  }

  run() {
    while (this.at < this.text.length) {
      if (!this.#special()) {
        this.#plain += this.text[this.at];
        this.at += 1;
      }
    }
    this.#flush();
    return this.#nodes;
  }

  #flush() {
    if (this.#plain) this.#nodes.push(this.#plain);
    this.#plain = "";
  }

  #add(node, end) {
    this.#flush();
    this.#nodes.push(node);
    this.at = end;
    return true;
  }

  #special() {
    switch (this.text[this.at]) {
      case "\\": return this.#escape();
      case "\n": return this.#add(element("br"), this.at + 1);
      case "`": return this.#code();
      case "!": return this.text[this.at + 1] === "[" && this.#link(this.at + 1);
      case "[": return this.#link(this.at);
      case "<": return this.#angle();
      case "h": return this.#bare();
      case "*": case "_": case "~": return this.#emphasis();
      default: return false;
    }
  }

  #escape() {
    const next = this.text[this.at + 1];
    if (next === undefined || !PUNCTUATION.test(next)) return false;
    this.#plain += next;
    this.at += 2;
    return true;
  }

  #run(from, mark) {
    let end = from;
    while (this.text[end] === mark) end += 1;
    return end - from;
  }

  #code() {
    const length = this.#run(this.at, "`");
    const mark = "`".repeat(length);
    const start = this.at + length;
    let close = this.#unclosed.has(mark) ? -1 : this.text.indexOf(mark, start);
    while (close >= 0 && this.#run(close, "`") !== length) {
      close = this.text.indexOf(mark, close + this.#run(close, "`"));
    }
    if (close < 0) {
      this.#unclosed.add(mark);
      this.#plain += mark;
      this.at = start;
      return true;
    }
    let code = this.text.slice(start, close).replaceAll("\n", " ");
    if (code.startsWith(" ") && code.endsWith(" ") && code.trim()) code = code.slice(1, -1);
    return this.#add(element("code", { textContent: code }), close + length);
  }

  #emphasis() {
    if (this.depth >= DEEPEST) return false;
    for (const [mark, tag] of MARKS) {
      if (!this.text.startsWith(mark, this.at)) continue;
      const close = this.#closing(mark);
      if (close < 0) continue;
      const inner = inline(this.text.slice(this.at + mark.length, close), this.depth + 1);
      return this.#add(element(tag, {}, inner), close + mark.length);
    }
    const length = this.#run(this.at, this.text[this.at]);
    this.#plain += this.text.slice(this.at, this.at + length);
    this.at += length;
    return true;
  }

  #closing(mark) {
    const start = this.at + mark.length;
    const before = this.text[this.at - 1] ?? " ";
    const first = this.text[start];
    if (first === undefined || /\s/.test(first) || first === mark[0] || this.#unclosed.has(mark)) return -1;
    if (mark[0] === "_" && WORD.test(before)) return -1;
    let close = this.text.indexOf(mark, start);
    while (close >= 0) {
      const run = this.#run(close, mark[0]);
      const after = this.text[close + run] ?? " ";
      const fits = run === mark.length || (run === 3 && mark.length < 3);
      if (fits && !/\s/.test(this.text[close - 1]) && !(mark[0] === "_" && WORD.test(after))) {
        return mark.length === 2 ? close + run - 2 : close;
      }
      close = this.text.indexOf(mark, close + run);
    }
    this.#unclosed.add(mark);
    return -1;
  }

  #link(open) {
    const window = this.text.slice(open, open + LONGEST_LINK);
    let close = 0;
    for (let i = 0, level = 0; i < window.length && !close; i += 1) {
      if (window[i] === "\\") i += 1;
      else if (window[i] === "[") level += 1;
      else if (window[i] === "]" && (level -= 1) === 0) close = i;
    }
    if (!close || window[close + 1] !== "(") return false;
    let end = close + 2;
    for (let level = 1; end < window.length && level; end += 1) {
      if (window[end] === "(") level += 1;
      else if (window[end] === ")") level -= 1;
    }
    if (window[end - 1] !== ")") return false;
    const target = window.slice(close + 2, end - 1).trim().split(/\s/)[0].replace(/^<|>$/g, "");
    const label = window.slice(1, close);
    return this.#anchor(target, label, open + end);
  }

  #anchor(target, label, end) {
    let url = null;
    try {
      url = URL_START.test(target) ? new URL(target) : null;
    } catch {
      // not a URL: the text stays as it was written
    }
    if (url === null) return false;
    const inner = this.depth < DEEPEST ? inline(label || target, DEEPEST) : [label || target];
    return this.#add(element("a", {
      href: url.href, target: "_blank", rel: "noopener noreferrer",
    }, inner), end);
  }

  #angle() {
    const close = this.text.slice(this.at, this.at + LONGEST_LINK).indexOf(">");
    if (close < 0) return false;
    const target = this.text.slice(this.at + 1, this.at + close);
    if (/\s/.test(target) || !URL_START.test(target)) return false;
    return this.#anchor(target, target, this.at + close + 1);
  }

  #bare() {
    if (this.depth >= DEEPEST || WORD.test(this.text[this.at - 1] ?? " ")) return false;
    const found = /^https?:\/\/[^\s<>"`]+/i.exec(this.text.slice(this.at, this.at + LONGEST_LINK));
    if (!found) return false;
    let target = found[0];
    while (/[.,;:!?'*_~\])]$/.test(target) && !(target.endsWith(")") && target.includes("("))) {
      target = target.slice(0, -1);
    }
    const label = target;
    const before = this.#nodes.length;
    if (!this.#anchor(target, "", this.at + target.length)) return false;
    const made = this.#nodes.at(-1);
    if (this.#nodes.length > before) made.textContent = label;
    return true;
  }
}
