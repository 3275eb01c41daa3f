// Bands between a low and a high, broken where days are missing; and lines so close together that only a band tells them apart.

import { type BandPoint, bucketed, runs } from "../logic/buckets";
import { DAY_MS } from "../logic/days";
import { type Envelope, envelopeOf } from "../logic/envelope";
import { type Frame, indexFrom, valuesOf } from "../logic/frame";
import { type LinesInput, type SeriesOption, lineStyle } from "./lines";
import { mix, shade } from "./palette";

interface DrawApi {
  value: (dimension: number) => number;
  coord: (point: [number, number]) => [number, number];
}

interface DrawParams {
  coordSys: { x: number; width: number; y: number; height: number };
}

/** Points of close lines are so many pixels apart at least: nearer ones would be a tangle. */
const APART = 5;

/** Rows of one run, with the lowest and the highest that are drawn. */
interface Strip {
  frame: Frame;
  low: Float64Array;
  high: Float64Array;
  run: [number, number];
}

/** What of a strip is seen, a point for each `pixels` at most. */
function pointsOf({ frame, low, high, run }: Strip, pixels: number, { coordSys }: DrawParams, api: DrawApi): BandPoint[] {
  const origin = api.coord([0, 0])[0];
  const perDay = Math.abs(api.coord([DAY_MS, 0])[0] - origin);
  const per = Math.max(1, Math.floor(pixels / perDay));
  // Days stay together as one moves along.
  const whole = (rows: number) => run[0] + Math.floor((rows - run[0]) / per) * per;
  const from = whole(Math.max(run[0], indexFrom(frame.at, (coordSys.x - origin) / perDay) - 1));
  const to = Math.min(run[1], whole(indexFrom(frame.at, (coordSys.x + coordSys.width - origin) / perDay)) + per);
  return from > to ? [] : bucketed(frame.at, low, high, [from, to], per);
}

/** The area between low and high. */
function polygon(strip: Strip, fill: string, pixels: number) {
  return (params: DrawParams, api: DrawApi) => {
    const points = pointsOf(strip, pixels, params, api);
    if (points.length === 0) return undefined;
    const top = points.map((point) => api.coord([point.at * DAY_MS, point.high]));
    const bottom = points.map((point) => api.coord([point.at * DAY_MS, point.low])).reverse();
    return { type: "polygon", shape: { points: [...top, ...bottom] }, style: { fill }, silent: true };
  };
}

/** A line through the highest, the lowest or the mean of each few days. */
function polyline(strip: Strip, what: "low" | "high" | "mean", style: Record<string, unknown>) {
  return (params: DrawParams, api: DrawApi) => {
    const points = pointsOf(strip, APART, params, api).map((point) => api.coord([point.at * DAY_MS, point[what]]));
    return points.length === 0 ? undefined : { type: "polyline", shape: { points }, style: { fill: "none", ...style }, silent: true };
  };
}

type Draw = (strip: Strip) => (params: DrawParams, api: DrawApi) => unknown;

/** A series for each run of days that have both values. */
function strips(id: string, frame: Frame, [low, high]: [Float64Array, Float64Array], z: number, draw: Draw): SeriesOption[] {
  return runs(low, high).map((run) => {
    let [least, most] = [Infinity, -Infinity];
    for (let row = run[0]; row <= run[1]; row++) [least, most] = [Math.min(least, low[row]!), Math.max(most, high[row]!)];
    return {
      id: `${id} ${frame.at[run[0]]}`, type: "custom", clip: true, z, animation: false, silent: true,
      dimensions: ["from", "to", "low", "high"], encode: { x: [0, 1], y: [2, 3] },
      data: [[frame.at[run[0]]! * DAY_MS, frame.at[run[1]]! * DAY_MS, least, most]],
      renderItem: draw({ frame, low, high, run }),
    };
  });
}

/** The band that the dashboard asks for. */
export function band({ chart, palette, subjects, only }: LinesInput, subject: number): SeriesOption[] {
  if (!chart.band || only !== null) return [];
  const { frame } = subjects[subject]!;
  const fill = mix(palette.hues[subject === 0 ? 0 : 1], palette.paper, subject === 0 ? 0.78 : 0.86);
  const ends: [Float64Array, Float64Array] = [valuesOf(frame, chart.band.low), valuesOf(frame, chart.band.high)];
  return strips(`band ${subject}`, frame, ends, 1, (strip) => polygon(strip, fill, 1));
}

type Lines = Pick<LinesInput, "chart" | "subjects">;

/** Which lines lie around the others, of all subjects and on one axis; null where they cross. */
function around({ chart, subjects }: Lines): Envelope | null {
  if (chart.series.some((one) => (one.axis ?? 0) !== (chart.series[0]?.axis ?? 0))) return null;
  const found = subjects.map(({ frame }) => envelopeOf(chart.series.map((one) => valuesOf(frame, one.column))));
  const [first] = found;
  return first && found.every((one) => one?.high === first.high && one.low === first.low) ? first : null;
}

/** The same, where all lines are drawn. */
export function envelopeIn(input: Lines & Pick<LinesInput, "only">): Envelope | null {
  return input.only === null ? around(input) : null;
}

/** The colour of a line: of close ones, those within stand out. */
export function tint(input: Lines & Pick<LinesInput, "palette">, subject: number, place: number): string {
  const found = around(input);
  if (!found) return shade(input.palette, subject, place);
  return shade(input.palette, subject, place === found.high ? 2 : place === found.low ? 1 : 0);
}

/** Lines that lie close together: the outermost as the edges of a band, the others within. */
export function envelope(input: LinesInput, subject: number): SeriesOption[] {
  const found = envelopeIn(input);
  if (!found) return [];
  const { chart, palette, subjects } = input;
  const { frame } = subjects[subject]!;
  const columns = chart.series.map((one) => valuesOf(frame, one.column));
  const fill = mix(palette.hues[subject === 0 ? 0 : 1], palette.paper, 0.86);
  const ends: [Float64Array, Float64Array] = [columns[found.low]!, columns[found.high]!];
  const edges = columns.flatMap((values, place) => {
    const what = place === found.high ? "high" : place === found.low ? "low" : "mean";
    const { color, width, type } = lineStyle(tint(input, subject, place), subject, what === "mean" ? 1.4 : 0.8);
    const style = { stroke: color, lineWidth: width, ...(type !== "solid" && { lineDash: type }) };
    return strips(`close ${subject} ${place}`, frame, [values, values], what === "mean" ? 3 : 2, (strip) => polyline(strip, what, style));
  });
  return [...strips(`between ${subject}`, frame, ends, 1, (strip) => polygon(strip, fill, APART)), ...edges];
}
