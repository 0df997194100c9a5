/** A feeder's history as the rows of a chart: one on top of the other, gaps left open, the forecast behind the present. */
import type { Schemas } from "../../api/client";

export type Phase = "A" | "B" | "C";
type Row = (number | null)[];

export interface Stack {
  /** Seconds since 1970. */
  at: number[];
  building: Row;
  /** Building and EVs. */
  total: Row;
  /** What the building was counted with at most. */
  upper: Row;
  limit: Row;
  median: Row;
  low: Row;
  high: Row;
}

/** A step that is missing is a gap: two rows of nothing would not do, one between them does. */
export function stack(load: Schemas["LoadHistory"], forecast: Schemas["FeederForecast"] | null, phase: Phase, untilMs: number): Stack {
  const made: Stack = { at: [], building: [], total: [], upper: [], limit: [], median: [], low: [], high: [] };
  const seen = load.phases[phase];
  let before: number | null = null;
  for (const [index, text] of load.at.entries()) {
    const at = Date.parse(text) / 1000;
    if (before !== null && at - before > 2 * load.step_s) put(made, before + load.step_s, {});
    const building = seen?.base_a[index] ?? 0;
    put(made, at, {
      building,
      total: building + (seen?.ev_a[index] ?? 0),
      upper: seen?.upper_a[index] ?? null,
      limit: load.limit_a[index] ?? null,
    });
    before = at;
  }
  const last = made.at.at(-1) ?? 0;
  const now = made.building.at(-1) ?? null;
  const hours = (forecast?.phases[phase]?.hours ?? []).filter(({ at }) => Date.parse(at) / 1000 > last);
  if (hours.length > 0 && now !== null) {
    // What is expected begins where the building is.
    made.median[made.median.length - 1] = made.low[made.low.length - 1] = made.high[made.high.length - 1] = now;
  }
  for (const hour of hours) {
    const at = Date.parse(hour.at) / 1000;
    if (at * 1000 > untilMs) continue;
    put(made, at, { median: hour.median_a, low: hour.low_a, high: hour.high_a, limit: load.limit_a.at(-1) ?? null });
  }
  return made;
}

type Values = Partial<Record<Exclude<keyof Stack, "at">, number | null>>;

function put(made: Stack, at: number, values: Values): void {
  made.at.push(at);
  for (const name of ["building", "total", "upper", "limit", "median", "low", "high"] as const)
    made[name].push(values[name] ?? null);
}
