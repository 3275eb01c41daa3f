import type { TimedChart } from "../logic/sources";
import { completeness } from "./Completeness";
import { count } from "./Count";
import { gauge } from "./Gauge";
import { lines } from "./Lines";
import { matrix } from "./Matrix";
import { stripes } from "./Stripes";
import type { Kind } from "./types";

const KINDS = { completeness, count, gauge, lines, matrix, stripes };

/** How a chart is drawn. A kind that is not known is that of a later version of the dashboard's form. */
export function kindOf(chart: TimedChart): Kind<TimedChart> {
  const kind = KINDS[chart.kind];
  if (!kind) throw new Error(`the dashboard names a chart of the kind \`${chart.kind as string}\`, which this page does not know`);
  return kind as unknown as Kind<TimedChart>;
}
