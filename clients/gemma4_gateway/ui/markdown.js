// Markdown to elements: the part of CommonMark and GitHub's tables that models write. HTML is text.
import { copyButton, element } from "./dom.js";
import { inline } from "./markdown_inline.js";

const DEEPEST = 6;
const FENCE = /^ {0,3}(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^( {0,12})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const DIVIDER = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

const blank = (line) => line.trim() === "";
const startsBlock = (line) =>
  FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
const isTable = (lines, at) =>
  lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-")
  && DIVIDER.test(lines[at + 1]) && cells(lines[at]).length === cells(lines[at + 1]).length;

/** Split text into blocks: `source` is its text, `make` makes its element. */
export function blocks(text, depth = 0) {
  const lines = text.split(/\r\n|\n|\r/);
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (blank(lines[at])) {
      at += 1;
      continue;
    }
    const [end, make] = take(lines, at, depth);
    found.push({ source: lines.slice(at, end).join("\n"), make });
    at = end;
  }
  return found;
}

function take(lines, at, depth) {
  const line = lines[at];
  if (FENCE.test(line)) return takeFence(lines, at);
  if (HEADING.test(line)) return [at + 1, () => heading(line)];
  if (RULE.test(line)) return [at + 1, () => element("hr")];
  if (depth < DEEPEST && QUOTE.test(line)) return takeQuote(lines, at, depth);
  if (depth < DEEPEST && ITEM.test(line)) return takeList(lines, at, depth);
  if (isTable(lines, at)) return takeTable(lines, at);
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !startsBlock(lines[end]) && !isTable(lines, end)) {
    end += 1;
  }
  return [end, () => element("p", {}, withBreaks(lines.slice(at, end)))];
}

function withBreaks(lines) {
  return inline(lines.map((line) => line.trim()).join("\n"));
}

function takeFence(lines, at) {
  const found = FENCE.exec(lines[at]);
  const [mark, about] = found[1] ? [found[1], found[2]] : [found[3], found[4]];
  const indent = lines[at].search(/\S/);
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], mark)) end += 1;
  const code = lines.slice(at + 1, end).map((l) => l.slice(Math.min(indent, Math.max(0, l.search(/\S|$/)))));
  return [Math.min(end + 1, lines.length), () => codeBlock(code.join("\n"), about.trim())];
}

function closes(line, mark) {
  const text = line.trim();
  return text.length >= mark.length && text === mark[0].repeat(text.length);
}

function codeBlock(code, language) {
  return element("figure", { className: "code-block" },
    element("figcaption", {}, element("span", { textContent: language || "text" }),
      copyButton(() => code)),
    element("pre", { tabIndex: 0 }, element("code", { textContent: code })));
}

function heading(line) {
  const marks = HEADING.exec(line)[1].length;
  let text = line.trim().slice(marks).trim();
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  if (end === 0 || text[end - 1] === " ") text = text.slice(0, end).trim();
  return element(`h${Math.min(marks + 2, 6)}`, {}, inline(text));
}

function takeQuote(lines, at, depth) {
  let end = at;
  const inner = [];
  while (end < lines.length && QUOTE.test(lines[end])) {
    inner.push(lines[end].replace(/^ {0,3}> ?/, ""));
    end += 1;
  }
  return [end, () => element("blockquote", {}, elements(inner.join("\n"), depth + 1))];
}

function takeList(lines, at, depth) {
  const ordered = /\d/.test(ITEM.exec(lines[at])[2]);
  const items = [];
  let end = at;
  let margin = 0;
  while (end < lines.length) {
    const line = lines[end];
    const indent = line.search(/\S|$/);
    const item = ITEM.exec(line);
    if (items.length && !blank(line) && indent >= margin) {
      items.at(-1).push(line.slice(margin));
    } else if (item && !RULE.test(line) && /\d/.test(item[2]) === ordered) {
      margin = item[1].length + item[2].length + 1;
      items.push([line.slice(item[0].length)]);
    } else if (blank(line)) {
      const next = lines.slice(end + 1, end + 3).find((l) => !blank(l));
      if (next === undefined) break;
      const more = ITEM.exec(next);
      if (next.search(/\S/) < margin && !(more && /\d/.test(more[2]) === ordered)) break;
      items.at(-1).push("");
    } else if (!startsBlock(line) && !blank(lines[end - 1])) {
      items.at(-1).push(line.trim());
    } else break;
    end += 1;
  }
  const start = parseInt(lines[at].trim(), 10);
  return [end, () => {
    const list = element(ordered ? "ol" : "ul");
    if (ordered && start !== 1) list.start = start;
    for (const item of items) list.append(element("li", {}, tight(item.join("\n"), depth + 1)));
    return list;
  }];
}

/** The elements of a list's item; a paragraph that comes first needs no box of its own. */
function tight(text, depth) {
  const found = elements(text, depth);
  if (found[0]?.tagName !== "P") return found;
  return [...found[0].childNodes, ...found.slice(1)];
}

function cells(line) {
  const found = [""];
  const text = line.trim().replace(/^\|/, "");
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") {
      found[found.length - 1] += "|";
      i += 1;
    } else if (text[i] === "|") found.push("");
    else found[found.length - 1] += text[i];
  }
  if (found.length > 1 && blank(found.at(-1))) found.pop();
  return found.map((cell) => cell.trim());
}

function takeTable(lines, at) {
  let end = at + 2;
  while (end < lines.length && !blank(lines[end]) && lines[end].includes("|")) end += 1;
  const sides = cells(lines[at + 1]).map((c) =>
    c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : "");
  const row = (line, tag) => {
    const texts = cells(line);
    const columns = Math.max(sides.length, texts.length); // GitHub drops cells beyond the head's
    return element("tr", {}, Array.from({ length: columns }, (_, i) =>
      element(tag, { className: sides[i] ?? "" }, inline(texts[i] ?? ""))));
  };
  return [end, () => element("div", { className: "table", tabIndex: 0 }, element("table", {},
    element("thead", {}, row(lines[at], "th")),
    element("tbody", {}, lines.slice(at + 2, end).map((line) => row(line, "td")))))];
}

const elements = (text, depth) => blocks(text, depth).map((block) => block.make());

/** Shows a text that grows: only blocks that have changed are made anew. */
export class Markdown {
  #shown = [];

  constructor(box) {
    this.box = box;
  }

  show(text) {
    const wanted = blocks(text);
    let same = 0;
    while (same < wanted.length && this.#shown[same] === wanted[same].source) same += 1;
    while (this.box.childNodes.length > same) this.box.lastChild.remove();
    for (const block of wanted.slice(same)) this.box.append(block.make());
    this.#shown = wanted.map((block) => block.source);
  }
}
