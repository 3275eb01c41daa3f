/** Short histories as bars. Pure. */

export interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** The value that `share` of all are not above; null where there is none. */
export function percentile(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? null;
}

/** The newest at the right, at most `most` of them, each as high as its share of the highest. */
export function barsOf(values: readonly (number | null)[], most: number, width: number, height: number): Bar[] {
  const shown = values.slice(-most);
  const highest = Math.max(0, ...shown.map((value) => value ?? 0));
  const step = width / most;
  const start = width - shown.length * step;
  return shown.flatMap((value, at) => {
    if (!value || highest === 0) return [];
    const tall = Math.max(1, (value / highest) * height);
    return [{ x: start + at * step, y: height - tall, width: Math.max(1, step - 1), height: tall }];
  });
}
