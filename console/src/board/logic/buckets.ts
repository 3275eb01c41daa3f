// A band of low to high, drawn with no more points than there are pixels, and broken where days are missing.

export interface BandPoint {
  at: number;
  low: number;
  high: number;
  /** The mean of what is in the middle between both. */
  mean: number;
}

/** Runs of rows that have both values, as first and last index. */
export function runs(low: Float64Array, high: Float64Array): [number, number][] {
  const found: [number, number][] = [];
  let start = -1;
  for (let row = 0; row <= low.length; row++) {
    const has = row < low.length && !Number.isNaN(low[row]!) && !Number.isNaN(high[row]!);
    if (has && start < 0) start = row;
    if (!has && start >= 0) {
      found.push([start, row - 1]);
      start = -1;
    }
  }
  return found;
}

/** The rows from `start` to `end`, `per` of them as one point with the lowest low, the highest high and the mean. */
export function bucketed(
  at: Float64Array,
  low: Float64Array,
  high: Float64Array,
  [start, end]: readonly [number, number],
  per: number,
): BandPoint[] {
  const step = Math.max(1, Math.floor(per));
  const points: BandPoint[] = [];
  for (let row = start; row <= end; row += step) {
    const last = Math.min(end, row + step - 1);
    const point = { at: (at[row]! + at[last]!) / 2, low: Infinity, high: -Infinity, mean: 0 };
    for (let one = row; one <= last; one++) {
      point.low = Math.min(point.low, low[one]!);
      point.high = Math.max(point.high, high[one]!);
      point.mean += (low[one]! + high[one]!) / 2 / (last - row + 1);
    }
    points.push(point);
  }
  // The ends stand where the data begin and end, not in the middle of their buckets.
  const [first, final] = [points[0], points.at(-1)];
  if (first) first.at = at[start]!;
  if (final && points.length > 1) final.at = at[end]!;
  return points;
}

/** Rows with a value that has none on either side: a line would not show them. */
export function lone(values: Float64Array): number[] {
  const found: number[] = [];
  values.forEach((value, row) => {
    const isGap = (near: number) => Number.isNaN(values[near] ?? NaN);
    if (!Number.isNaN(value) && isGap(row - 1) && isGap(row + 1)) found.push(row);
  });
  return found;
}
