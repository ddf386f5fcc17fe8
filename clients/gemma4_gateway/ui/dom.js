// Elements. Text is only ever set as text: the page's policy lets nothing parse it as HTML.

/** Make an element. `props` are properties, or attributes where the name has a dash. `children` are
 *  nodes and texts, and lists of them of any length. */
export function element(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-") || name === "role") made.setAttribute(name, value);
    else made[name] = value;
  }
  for (const child of children) {
    if (Array.isArray(child)) for (const one of child) made.append(one);
    else made.append(child);
  }
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Copy text; pages that were loaded over plain HTTP from another machine have no clipboard API. */
export async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = element("textarea", { value: text, className: "hidden-label" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A button that copies what `text()` returns, and says so. */
export function copyButton(text, label = "Copy") {
  const button = element("button", { type: "button", className: "small", textContent: label });
  button.addEventListener("click", async () => {
    try {
      await copyText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
}
