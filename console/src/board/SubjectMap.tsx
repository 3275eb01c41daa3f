// The subjects where they are, coloured by a figure; each can be chosen by pointer and by keys.

import { useMemo, useRef } from "preact/hooks";
import { Card } from "../parts/Card";
import { Empty, Hidden } from "../parts/states";
import { ScaleBar } from "./charts/ScaleBar";
import { type MapFigure, useMapFigures } from "./data/colours";
import type { SubjectRow } from "./data/subjects";
import { type Board, type MapPart, type Scale, tableOf, titleOf, titleWithUnit, visible } from "./logic/dashboard";
import { neighbour, pathOf, projection, ringsOf } from "./logic/geo";
import { decimals } from "./logic/frame";
import { fixed, withUnit } from "./logic/numbers";
import { colourOf, scaleAround } from "./logic/scale";
import type { Application } from "../types";

const WIDTH = 320;
const EDGE = 10;
/** So many dots are small. */
const MANY = 150;

interface MapProps {
  board: Board;
  application: Application;
  rows: readonly SubjectRow[];
  chosen: readonly SubjectRow[];
  choose: (key: string) => void;
  sensitive: boolean;
}

interface Dot {
  row: SubjectRow;
  x: number;
  y: number;
}

function place(row: SubjectRow, part: MapPart): [number, number] | null {
  const [longitude, latitude] = [row.cells[part.longitude], row.cells[part.latitude]];
  return longitude && latitude ? [Number(longitude), Number(latitude)] : null;
}

export function SubjectMap(props: MapProps) {
  const { board, application, rows, sensitive } = props;
  const part = board.subject.map;
  if (!part) return null;
  const seen = visible(tableOf(application, board.subject.table), sensitive);
  const isHidden = !seen.has(part.latitude) || !seen.has(part.longitude);
  const title = part.color ? titleWithUnit(titleOf(part.color), part.color.unit) : `${board.subject.title} map`;
  const source = sourceOf(part.outline);
  return (
    <Card title={title} id="map" note={source && <p>Outline: {source}</p>}>
      {isHidden ? (
        <Hidden what="Where they are is" />
      ) : rows.some((row) => place(row, part)) ? (
        <Drawn {...props} part={part} />
      ) : (
        <Empty title="No place is known yet.">Places appear here by themselves as they are written.</Empty>
      )}
    </Card>
  );
}

function sourceOf(outline: unknown): string | null {
  const properties = (outline as { properties?: { source?: unknown } } | null | undefined)?.properties;
  return typeof properties?.source === "string" ? properties.source : null;
}

function useDots(rows: readonly SubjectRow[], part: MapPart) {
  const rings = useMemo(() => ringsOf(part.outline), [part.outline]);
  const placed = rows.flatMap((row) => {
    const at = place(row, part);
    return at ? [{ row, at }] : [];
  });
  const about = placed.map(({ row, at }) => `${row.key} ${at.join(" ")}`).join("\n");
  return useMemo(() => {
    const onMap = projection([...rings.flat(), ...placed.map(({ at }) => at)], WIDTH, EDGE);
    const dots = onMap ? placed.map(({ row, at }): Dot => ({ row, x: onMap.x(at[0]), y: onMap.y(at[1]) })) : [];
    return { onMap, path: onMap ? pathOf(rings, onMap) : "", dots };
  }, [rings, about]);
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function Drawn({ board, application, rows, chosen, choose, sensitive, part }: MapProps & { part: MapPart }) {
  const { onMap, path, dots } = useDots(rows, part);
  const figures = useMapFigures(board, part.color && tableOf(application, part.color.table), sensitive);
  const scale = scaleOf(board, part, figures);
  if (!onMap) return null;
  const label = `${board.subject.title}: where they are`;
  return (
    <div class="map">
      <svg viewBox={`0 0 ${onMap.width} ${onMap.height}`} role="group" aria-label={label}>
        <path class="outline" d={path} />
        <Dots dots={dots} chosen={chosen} choose={choose} figures={figures} scale={scale} part={part} />
      </svg>
      {figures.size > 0 ? (
        <ScaleBar scale={scale} low={fixed(scale.middle - scale.reach, 0)} high={withUnit(scale.middle + scale.reach, 0, part.color?.unit)} />
      ) : (
        part.color && <p class="remark">Grey: there is no such figure yet.</p>
      )}
    </div>
  );
}

function scaleOf(board: Board, part: MapPart, figures: ReadonlyMap<string, MapFigure>): Scale {
  const values = [...figures.values()].map((figure) => figure.value);
  const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
  return (part.color?.scale && board.scales[part.color.scale]) || scaleAround(mean, values);
}

interface DotsProps extends Pick<MapProps, "chosen" | "choose"> {
  dots: readonly Dot[];
  figures: ReadonlyMap<string, MapFigure>;
  scale: Scale;
  part: MapPart;
}

function Dots({ dots, chosen, choose, figures, scale, part }: DotsProps) {
  const circles = useRef<(SVGElement | null)[]>([]);
  // Tab leads to one dot, the chosen one; arrows lead on from there.
  const first = Math.max(0, dots.findIndex((dot) => dot.row.key === chosen[0]?.key));
  const onKeyDown = (event: KeyboardEvent, at: number) => {
    const step = ARROWS[event.key];
    if (event.key === "Enter" || event.key === " ") choose(dots[at]!.row.key);
    else if (step) circles.current[neighbour(dots, at, ...step) ?? at]?.focus();
    else return;
    event.preventDefault();
  };
  return (
    <>
      {dots.map((dot, at) => (
        <circle
          key={dot.row.key}
          ref={(circle) => void (circles.current[at] = circle)}
          class={`dot${dotClass(dot, chosen)}`}
          cx={dot.x}
          cy={dot.y}
          r={dots.length > MANY ? 3.5 : 5.5}
          role="button"
          tabindex={at === first ? 0 : -1}
          aria-pressed={chosen.some((one) => one.key === dot.row.key)}
          aria-label={dotText(dot, figures, part)}
          style={figures.has(dot.row.key) ? { fill: colourOf(scale, figures.get(dot.row.key)!.value) } : {}}
          onClick={() => choose(dot.row.key)}
          onKeyDown={(event) => onKeyDown(event, at)}
        >
          <title>{dotText(dot, figures, part)}</title>
        </circle>
      ))}
    </>
  );
}

function dotClass(dot: Dot, chosen: readonly SubjectRow[]): string {
  const at = chosen.findIndex((one) => one.key === dot.row.key);
  return at < 0 ? "" : ` chosen subject-${at}`;
}

function dotText({ row }: Dot, figures: ReadonlyMap<string, MapFigure>, part: MapPart): string {
  const figure = figures.get(row.key);
  const name = row.name === row.key ? row.key : `${row.name} (${row.key})`;
  return figure ? `${name}: ${withUnit(figure.value, decimals(figure.text), part.color?.unit)} (${figure.when})` : name;
}
