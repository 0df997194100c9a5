/** uPlot in a component: colours from the tokens, the service's time in the site's zone, drawn anew when the theme changes. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { theme } from "../frame/theme";

export interface Line {
  label: string;
  /** A token's name: "--ev-load". */
  colour: string;
  unit?: string;
  /** Filled below, in the colour made lighter. */
  fill?: boolean;
  /** Held from one value to the next. */
  steps?: boolean;
  dash?: number[];
  width?: number;
}

export interface ChartProps {
  /** Seconds since 1970, then a row for each line; null where there is nothing. */
  data: uPlot.AlignedData;
  lines: readonly Line[];
  zone: string;
  /** What the chart shows, for those who do not see it. */
  label: string;
  height?: number;
  /** The time shown, in seconds; what there is, without. */
  from?: number;
  to?: number;
  /** Axis from 0 to at least this. */
  atLeast?: number;
  /** More of uPlot's options: bands, hooks, plugins. */
  options?: Partial<uPlot.Options>;
}

export function colour(token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export function Chart({ data, lines, zone, label, height = 240, from, to, atLeast = 0, options }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shown = theme.value;
  const key = JSON.stringify([lines, zone, height, atLeast]);

  useEffect(() => {
    const host = place.current;
    if (host === null) return;
    const made = new uPlot(
      { ...settings(lines, zone, height, atLeast), width: Math.max(host.clientWidth, 200), ...options },
      data,
      host,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientWidth !== made.width) made.setSize({ width: host.clientWidth, height });
    });
    watch.observe(host);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => {
      recolour(made, lines);
    };
    scheme.addEventListener("change", repaint);
    return () => {
      watch.disconnect();
      scheme.removeEventListener("change", repaint);
      made.destroy();
      plot.current = null;
    };
  }, [key, shown, options]);

  useEffect(() => {
    const made = plot.current;
    if (made === null) return;
    made.batch(() => {
      made.setData(data, from === undefined || to === undefined);
      if (from !== undefined && to !== undefined) made.setScale("x", { min: from, max: to });
    });
  }, [data, from, to, key, shown, options]);

  return <div class="chart" ref={place} role="img" aria-label={label} />;
}

function recolour(plot: uPlot, lines: readonly Line[]): void {
  for (const [index, line] of lines.entries()) {
    const series = plot.series[index + 1];
    if (series === undefined) continue;
    const found = colour(line.colour);
    series.stroke = () => found;
    if (line.fill) series.fill = () => soft(found);
  }
  plot.redraw();
}

function settings(lines: readonly Line[], zone: string, height: number, atLeast: number): Omit<uPlot.Options, "width"> {
  const grid = { stroke: () => colour("--line"), width: 1 };
  const axis = { stroke: () => colour("--ink-soft"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  return {
    height,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    cursor: { points: { size: 7 }, drag: { x: false, y: false } },
    legend: { live: true, markers: { width: 3 } },
    scales: { y: { range: (_, __, max) => [0, Math.max(atLeast, max) * 1.08 || 1] } },
    axes: [
      { ...axis, values: TIMES },
      { ...axis, size: 48, values: (_, found) => found.map((value) => `${value}`) },
    ],
    series: [{ value: "{HH}:{mm}:{ss}" }, ...lines.map(series)],
  };
}

const TIMES: uPlot.Axis.Values = [
  [86400, "{D} {MMM}", null, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{D} {MMM}", null, null, null, null, null, 1],
];

function series(line: Line): uPlot.Series {
  const found = colour(line.colour);
  const made: uPlot.Series = {
    label: line.label,
    stroke: found,
    width: line.width ?? 2,
    points: { show: false },
    value: (_, value: number | null) => (value === null ? "–" : `${value.toFixed(1)} ${line.unit ?? "A"}`),
  };
  if (line.fill) made.fill = soft(found);
  if (line.dash !== undefined) made.dash = line.dash;
  const stepped = uPlot.paths.stepped;
  if (line.steps && stepped !== undefined) made.paths = stepped({ align: 1 });
  return made;
}

function soft(found: string): string {
  return `color-mix(in srgb, ${found} 22%, transparent)`;
}
