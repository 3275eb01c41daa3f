// Figures as people read them, with no more digits than the data have.

import { numberText } from "../../parts/format";

/** Figures that were computed in full have more decimals than they mean. */
const MOST_DIGITS = 2;

/** A number with all of its decimals, as `21.0`; a dash where there is none. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "–";
  const text = value.toFixed(Math.min(digits, MOST_DIGITS));
  return numberText(Number(text) === 0 ? text.replace("-", "") : text);
}

export function withUnit(value: number, digits: number, unit: string | undefined): string {
  const text = fixed(value, digits);
  if (!unit || !Number.isFinite(value)) return text;
  return unit === "°" ? `${text}°` : `${text}\u202f${unit}`;
}

/** A share in percent; what lacks something is never rounded up to all of it. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const whole = share >= 1 - 1e-9 ? 100 : Math.min(99, Math.round(share * 100));
  return `${whole}\u202f%`;
}
