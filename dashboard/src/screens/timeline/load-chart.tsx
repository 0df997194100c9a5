/** The chart: building, EVs on top, the limit, what is expected; decisions as marks at its foot. */
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { Chart, colour, type Line } from "../../components/chart";
import { texts } from "../../texts";
import { type Phase, stack } from "./stack";
import { AHEAD, type History } from "./timeline";

const t = texts.timeline;

const LINES: readonly Line[] = [
  { label: t.building, colour: "--base-load", fill: true, width: 1.5 },
  { label: t.total, colour: "--ev-load", width: 2 },
  { label: t.upper, colour: "--base-load", dash: [2, 4], width: 1 },
  { label: t.limit, colour: "--limit", steps: true, dash: [8, 4], width: 2 },
  { label: t.median, colour: "--setpoint", dash: [4, 4], width: 1.5 },
  { label: t.low, colour: "--setpoint", width: 0 },
  { label: t.high, colour: "--setpoint", width: 0 },
];

interface Props {
  history: History;
  phase: Phase;
  zone: string;
  at: number | null;
}

export function LoadChart({ history, phase, zone, at }: Props) {
  const made = useMemo(() => stack(history.load, history.forecast, phase, history.until), [history, phase]);
  const data = useMemo<uPlot.AlignedData>(
    () => [made.at, made.building, made.total, made.upper, made.limit, made.median, made.low, made.high],
    [made],
  );
  // What the drawing looks at changes without the chart being made anew.
  const seen = useRef({ marks: history.marks, at });
  seen.current = { marks: history.marks, at };
  const options = useMemo<Partial<uPlot.Options>>(
    () => ({
      bands: [
        { series: [2, 1], fill: () => soft("--ev-load", 45) },
        { series: [7, 6], fill: () => soft("--setpoint", 18) },
      ],
      hooks: {
        draw: [
          (plot) => {
            drawMarks(plot, seen.current.marks);
            drawInstant(plot, seen.current.at);
          },
        ],
      },
    }),
    [],
  );
  const from = Math.max(Date.parse(history.load.since) / 1000, made.at[0] ?? 0);
  return (
    <Chart
      key={at ?? 0}
      data={data}
      lines={LINES}
      zone={zone}
      label={t.chart(history.load.feeder, phase)}
      height={300}
      from={from}
      to={endOf(history, from)}
      atLeast={history.load.usable_a}
      options={options}
    />
  );
}

/** As much of the future as goes well with what was seen: a demo that has just begun is not all future. */
function endOf(history: History, from: number): number {
  const last = Date.parse(history.load.at.at(-1) ?? "") / 1000;
  if (history.forecast === null || Number.isNaN(last)) return history.until / 1000;
  return Math.min(history.until / 1000, last + Math.max(600, AHEAD * (last - from)));
}

function soft(token: string, part: number): string {
  return `color-mix(in srgb, ${colour(token)} ${part}%, transparent)`;
}

function drawMarks(plot: uPlot, marks: History["marks"]): void {
  const { ctx, bbox } = plot;
  const foot = bbox.top + bbox.height;
  const colours = { fell: colour("--limit"), prompted: colour("--ink-soft"), quiet: colour("--line-strong") };
  ctx.save();
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(Date.parse(mark.at) / 1000, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const kind = mark.fell > 0 ? "fell" : mark.prompted > 0 ? "prompted" : "quiet";
    ctx.fillStyle = colours[kind];
    const height = (kind === "quiet" ? 4 : kind === "prompted" ? 8 : 14) * devicePixelRatio;
    ctx.fillRect(x, foot - height, Math.max(1, devicePixelRatio), height);
  }
  ctx.restore();
}

function drawInstant(plot: uPlot, at: number | null): void {
  if (at === null) return;
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(at / 1000, "x", true));
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = colour("--ink");
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
