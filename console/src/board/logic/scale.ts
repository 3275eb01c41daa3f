// A diverging scale, blue over white to red, told apart by those who see red and green alike, too. It means the same
// in every chart that names it.

import type { Scale } from "./dashboard";

type Rgb = readonly [number, number, number];

/** From the low end over the middle to the high end; lightness falls evenly to both sides. */
const STOPS: readonly Rgb[] = [
  [5, 48, 97],
  [33, 102, 172],
  [67, 147, 195],
  [146, 197, 222],
  [247, 247, 247],
  [244, 165, 130],
  [214, 96, 77],
  [178, 24, 43],
  [103, 0, 31],
];

function between(low: Rgb, high: Rgb, share: number): Rgb {
  return [0, 1, 2].map((part) => Math.round(low[part]! + (high[part]! - low[part]!) * share)) as unknown as Rgb;
}

/** The place of a value on a scale, from 0 to 1; values beyond an end are at the end. */
export function placeOn(scale: Scale, value: number): number {
  const place = (value - (scale.middle - scale.reach)) / (2 * scale.reach);
  return Math.min(1, Math.max(0, place));
}

function rgbAt(place: number): Rgb {
  const along = place * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(along));
  return between(STOPS[low]!, STOPS[low + 1]!, along - low);
}

export function colourOf(scale: Scale, value: number): string {
  return `rgb(${rgbAt(placeOn(scale, value)).join(", ")})`;
}

function luminance(rgb: Rgb): number {
  const [red, green, blue] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Black or white, whichever reads better on the colour of a value. */
export function inkOn(scale: Scale, value: number): string {
  const light = luminance(rgbAt(placeOn(scale, value)));
  return (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) ? "#000000" : "#ffffff";
}

/** Stops for a gauge from `from` to `to`: the share of its way up to which each colour goes. */
export function segments(scale: Scale, from: number, to: number, count = 48): [number, string][] {
  return Array.from({ length: count }, (_, part) => {
    const value = from + ((part + 0.5) / count) * (to - from);
    return [(part + 1) / count, colourOf(scale, value)];
  });
}

/** A scale around the middle of some values that reaches to the one that is farthest from it. */
export function scaleAround(middle: number, values: Iterable<number>): Scale {
  let reach = 0;
  for (const value of values) if (!Number.isNaN(value)) reach = Math.max(reach, Math.abs(value - middle));
  return { middle, reach: reach || 1 };
}
