/** How numbers and times are written. Pure. */

/** Between groups of three digits: narrow, and no line ends there. */
const THIN = "\u202f";
const MINUS = "\u2212";

function grouped(digits: string): string {
  // Four digits are read at a glance, such as a year.
  return digits.length < 5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** A number as text with its digits as they are, grouped; what is no number stays. */
export function numberText(text: string): string {
  const found = /^(-?)(\d+)(\.\d+)?$/.exec(text);
  if (!found) return text;
  return (found[1] ? MINUS : "") + grouped(found[2] ?? "") + (found[3] ?? "");
}

/** A number with at most so many digits behind the point. */
export function number(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return "–";
  return numberText(String(Number(value.toFixed(digits))));
}

/** A rate: with a digit behind the point only where it is small. */
export function rate(value: number): string {
  return number(value, value < 10 ? 1 : 0);
}

/** Bytes in the largest unit that leaves a digit before the point. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  let left = value;
  while (left >= 1024 && at < units.length - 1) {
    left /= 1024;
    at += 1;
  }
  return `${number(left, at === 0 || left >= 100 ? 0 : 1)}${THIN}${units[at]}`;
}

/** A time that something takes. */
export function duration(ms: number): string {
  if (ms < 1) return `${number(ms * 1000)}${THIN}µs`;
  if (ms < 1000) return `${number(ms, ms < 10 ? 1 : 0)}${THIN}ms`;
  if (ms < 60_000) return `${number(ms / 1000, ms < 10_000 ? 1 : 0)}${THIN}s`;
  if (ms < 3_600_000) return `${number(ms / 60_000)}${THIN}min`;
  if (ms < 172_800_000) return `${number(ms / 3_600_000)}${THIN}h`;
  return `${number(ms / 86_400_000)} days`;
}

/** A moment in UTC, to the second; with milliseconds where they are asked for. */
export function moment(at_ms: number, exact = false): string {
  const date = new Date(at_ms);
  if (Number.isNaN(date.getTime())) return "–";
  const text = date.toISOString();
  return exact ? text.replace("T", " ").replace("Z", " UTC") : `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** How long ago something was, or how soon it will be. */
export function relative(at_ms: number, now_ms: number): string {
  const away = now_ms - at_ms;
  const span = Math.abs(away);
  if (span < 1500) return "now";
  const rounded = span < 60_000 ? Math.round(span / 1000) * 1000 : span;
  return away > 0 ? `${duration(rounded)} ago` : `in ${duration(rounded)}`;
}

/** A digest as people read it. */
export function short(digest: string): string {
  return digest.slice(0, 12);
}

/** One thing or several. */
export function count(many: number, one: string, several = `${one}s`): string {
  return `${number(many)} ${many === 1 ? one : several}`;
}

/** Types of columns whose cells are numbers. */
const NUMBERS = /^(integer|long|int|bigint|smallint|double|float|decimal|numeric|real)/i;

export function isNumber(type: string): boolean {
  return NUMBERS.test(type);
}

/** A word of the shell, quoted where it has to be. */
export function word(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
