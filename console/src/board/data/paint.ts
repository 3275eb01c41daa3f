// A picture of a card: its words, and of its body the fills, frames, texts and drawings, where they stand on the page.

import { chartIn } from "../charts/Plot";
import type { PictureWords } from "./save";

const SCALE = 2;
const EDGE = 16;
const LINE = 18;

interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

function isSeen(style: CSSStyleDeclaration): boolean {
  return style.display !== "none" && style.visibility !== "hidden" && style.clipPath === "none";
}

function isClear(colour: string): boolean {
  return colour === "transparent" || /,\s*0\)$|\/\s*0\)$/.test(colour);
}

function paintBox(pen: CanvasRenderingContext2D, style: CSSStyleDeclaration, { x, y, width, height }: Rect): void {
  if (!isClear(style.backgroundColor)) {
    pen.fillStyle = style.backgroundColor;
    pen.fillRect(x, y, width, height);
  }
  const sides = [
    [style.borderTopWidth, style.borderTopStyle, style.borderTopColor, x, y, width, 0],
    [style.borderBottomWidth, style.borderBottomStyle, style.borderBottomColor, x, y + height, width, 0],
    [style.borderLeftWidth, style.borderLeftStyle, style.borderLeftColor, x, y, 0, height],
    [style.borderRightWidth, style.borderRightStyle, style.borderRightColor, x + width, y, 0, height],
  ] as const;
  for (const [wide, kind, colour, left, top, across, down] of sides) {
    const thick = parseFloat(wide);
    if (!thick || kind === "none" || isClear(colour)) continue;
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.setLineDash(kind === "dashed" ? [4, 2] : []);
    // Within the box, so that neighbours do not cover it.
    const [dx, dy] = [across ? 0 : left > x ? -thick / 2 : thick / 2, across ? (top > y ? -thick / 2 : thick / 2) : 0];
    pen.beginPath();
    pen.moveTo(left + dx, top + dy);
    pen.lineTo(left + across + dx, top + down + dy);
    pen.stroke();
  }
  pen.setLineDash([]);
}

function paintText(pen: CanvasRenderingContext2D, text: Text, style: CSSStyleDeclaration, offset: (box: DOMRect) => Rect): void {
  const range = document.createRange();
  pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  pen.fillStyle = style.color;
  pen.textBaseline = "alphabetic";
  // A text that wraps is painted word by word, each where it stands.
  for (const found of text.data.matchAll(/\S+/g)) {
    range.setStart(text, found.index);
    range.setEnd(text, found.index + found[0].length);
    const box = range.getBoundingClientRect();
    if (box.width === 0) continue;
    const { x, y, height } = offset(box);
    pen.fillText(found[0], x, y + height * 0.79);
  }
}

function paintElement(pen: CanvasRenderingContext2D, element: Element, offset: (box: DOMRect) => Rect): void {
  const style = getComputedStyle(element);
  if (!isSeen(style) || element.matches("button:not(.entry), select, label, .unseen")) return;
  const chart = chartIn(element);
  const box = offset(element.getBoundingClientRect());
  if (chart) {
    const drawing = chart.renderToCanvas({ pixelRatio: SCALE });
    pen.drawImage(drawing, box.x, box.y, box.width, box.height);
    return;
  }
  paintBox(pen, style, box);
  for (const child of element.childNodes) {
    if (child instanceof Text) paintText(pen, child, style, offset);
    else if (child instanceof Element) paintElement(pen, child, offset);
  }
}

/** A text in lines that are no wider than `width`. */
function wrapped(pen: CanvasRenderingContext2D, text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (line && pen.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** How far the body reaches, with what is scrolled away. */
function extent(body: HTMLElement): { width: number; height: number } {
  let width = body.clientWidth;
  for (const box of body.querySelectorAll<HTMLElement>(".table")) width = Math.max(width, box.scrollWidth);
  return { width: width + 2 * EDGE, height: body.scrollHeight };
}

/** A picture of `body`; while it is painted, what one presses is out of the way and nothing is scrolled. */
export function paint(body: HTMLElement, words: PictureWords): HTMLCanvasElement {
  const scrolls = [...body.querySelectorAll<HTMLElement>(".table")].map((box) => [box, box.scrollLeft, box.scrollTop] as const);
  body.classList.add("painted");
  scrolls.forEach(([box]) => box.scrollTo(0, 0));
  const canvas = painted(body, words);
  body.classList.remove("painted");
  scrolls.forEach(([box, left, top]) => box.scrollTo(left, top));
  return canvas;
}

function painted(body: HTMLElement, words: PictureWords): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d")!;
  const style = getComputedStyle(body);
  const { width, height } = extent(body);
  const font = (size: number, weight = 400) => `${weight} ${size}px ${style.fontFamily}`;
  pen.font = font(12);
  const foot = words.foot.flatMap((text) => wrapped(pen, text, width - 2 * EDGE));
  const top = EDGE + 22 + words.lines.length * LINE;
  canvas.width = Math.ceil(width * SCALE);
  canvas.height = Math.ceil((top + height + foot.length * LINE + EDGE) * SCALE);
  pen.scale(SCALE, SCALE);
  const root = getComputedStyle(document.documentElement);
  pen.fillStyle = root.getPropertyValue("--paper");
  pen.fillRect(0, 0, width, canvas.height);
  const write = (texts: readonly string[], y: number, name: string) => {
    pen.fillStyle = root.getPropertyValue(name);
    pen.font = font(12);
    texts.forEach((text, place) => pen.fillText(text, EDGE, y + place * LINE));
  };
  pen.fillStyle = root.getPropertyValue("--ink");
  pen.font = font(15, 600);
  pen.fillText(words.title, EDGE, EDGE + 13);
  write(words.lines, EDGE + 13 + LINE, "--muted");
  const origin = body.getBoundingClientRect();
  paintElement(pen, body, (box) => ({ x: box.x - origin.x + EDGE, y: box.y - origin.y + top, width: box.width, height: box.height }));
  write(foot, top + height + 12, "--muted");
  return canvas;
}
