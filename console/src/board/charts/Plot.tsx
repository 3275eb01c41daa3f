// A drawing by ECharts: loaded with the first, drawn only while it is seen, as large as its place.

import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { useEffect, useRef, useState } from "preact/hooks";

const drawn = new WeakMap<Element, EChartsType>();

/** The drawing in an element, for a picture of it. */
export function chartIn(element: Element): EChartsType | undefined {
  return drawn.get(element);
}

interface PlotProps {
  /** What is drawn, worked out only when it is. */
  option: () => EChartsCoreOption;
  /** What the option is made of: drawn anew where one of it is another. */
  about: readonly unknown[];
  /** What the zoom is of: with another, all is shown again. */
  zoomOf?: string;
  height: number;
  /** What it shows, for who does not see it. */
  label: string;
}

/** The option without where the zoom stands, so that it stays there. */
function keepingZoom(option: EChartsCoreOption): EChartsCoreOption {
  const zooms = option["dataZoom"] as Record<string, unknown>[] | undefined;
  if (!zooms) return option;
  return { ...option, dataZoom: zooms.map(({ start: _start, end: _end, ...rest }) => rest) };
}

function useSeen(element: { current: HTMLElement | null }): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), { rootMargin: "200px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return seen;
}

type Library = typeof import("./echarts");

let library: Library | undefined;

function useLibrary(wanted: boolean): { library: Library | undefined; failed: boolean } {
  const [, setTurn] = useState(0);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (!wanted || library) return;
    import("./echarts").then(
      (loaded) => {
        library = loaded;
        setTurn((turn) => turn + 1);
      },
      () => setFailed(true),
    );
  }, [wanted]);
  return { library, failed };
}

export function Plot({ option, about, zoomOf = "", height, label }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const zoomed = useRef<string | null>(null);
  const seen = useSeen(place);
  const { library, failed } = useLibrary(seen);
  useEffect(() => {
    const element = place.current;
    if (!element || !library) return;
    const chart = library.init(element, null, { renderer: "canvas" });
    drawn.set(element, chart);
    const observer = new ResizeObserver(() => chart.resize());
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.delete(element);
      zoomed.current = null;
      chart.dispose();
    };
  }, [library]);
  useEffect(() => {
    const chart = place.current && drawn.get(place.current);
    if (!chart || !seen) return;
    const made: EChartsCoreOption = { textStyle: { fontFamily: getComputedStyle(place.current!).fontFamily }, ...option() };
    chart.setOption(zoomed.current === zoomOf ? keepingZoom(made) : made, {
      replaceMerge: ["series"],
      lazyUpdate: true,
    });
    zoomed.current = zoomOf;
  }, [library, seen, zoomOf, ...about]);
  if (failed) return <p class="state failed">The charts could not be loaded: load the page anew.</p>;
  return <div class="plot" ref={place} role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
