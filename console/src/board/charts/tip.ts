// What a chart says of the place one points at. Built of nodes whose text is set as text: whatever data hold, it is no markup.

export interface TipRow {
  label: string;
  value: string;
  colour?: string;
  /** What is to be known of the value. */
  remark?: string | null;
}

function node(tag: string, name: string, text?: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function tip(title: string, rows: readonly TipRow[]): HTMLElement {
  const box = node("div", "tip");
  box.append(node("div", "tip-title", title));
  const list = node("div", "tip-rows");
  for (const row of rows) {
    const mark = node("span", "tip-mark");
    if (row.colour) mark.style.background = row.colour;
    list.append(mark, node("span", "tip-label", row.label), node("span", "tip-value", row.value));
    if (row.remark) list.append(node("span", "tip-remark", row.remark));
  }
  box.append(list);
  return box;
}

/** How tips look and where they stand: within the drawing, without movement. */
export function tipOption(formatter: (params: unknown) => HTMLElement | string) {
  return {
    confine: true,
    className: "tip-box",
    padding: 0,
    borderWidth: 0,
    backgroundColor: "transparent",
    transitionDuration: 0,
    extraCssText: "box-shadow:none",
    formatter,
  };
}
