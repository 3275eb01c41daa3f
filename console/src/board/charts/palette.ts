// Colours of the style sheet for what is drawn by script.

import { colour, type Theme, useTheme } from "../../theme";

export interface Palette {
  theme: Theme;
  paper: string;
  ink: string;
  muted: string;
  faint: string;
  line: string;
  fill: string;
  /** By subject: one hue each. */
  hues: readonly [string, string];
}

export function paletteNow(theme: Theme): Palette {
  return {
    theme,
    paper: colour("--paper"),
    ink: colour("--ink"),
    muted: colour("--muted"),
    faint: colour("--faint"),
    line: colour("--line"),
    fill: colour("--fill"),
    hues: [colour("--accent"), colour("--second")],
  };
}

export function usePalette(): Palette {
  return paletteNow(useTheme());
}

function parts(hex: string): number[] {
  const full = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
  return [1, 3, 5].map((at) => parseInt(full.slice(at, at + 2), 16));
}

/** Between two colours of the form `#rrggbb`. */
export function mix(one: string, other: string, share: number): string {
  const [a, b] = [parts(one), parts(other)];
  const mixed = a.map((part, at) => Math.round(part + (b[at]! - part) * share));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

/** The colour of a series: the subject's hue, told from others of the same subject by how light it is. */
export function shade(palette: Palette, subject: number, series: number): string {
  const hue = palette.hues[subject === 0 ? 0 : 1];
  if (series === 0) return hue;
  return series % 2 === 1 ? mix(hue, palette.ink, 0.6) : mix(hue, palette.paper, 0.45);
}
