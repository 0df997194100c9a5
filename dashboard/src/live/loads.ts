/** How loaded the feeders are: the EVSEs below each at what they count for, per phase, as headroom/loading.py adds them. */
import type { Schemas } from "../api/client";
import type { Evse } from "./building";

export type Phase = "A" | "B" | "C";
export type FeederLoad = Schemas["FeederDocument"];

/** The ids from a feeder up to the root, itself first. */
export function pathsOf(feeders: readonly Pick<FeederLoad, "id" | "parent">[]): Map<string, string[]> {
  const parents = new Map(feeders.map((one) => [one.id, one.parent]));
  return new Map(
    feeders.map(({ id }) => {
      const path: string[] = [];
      for (let at: string | null | undefined = id; at != null && !path.includes(at); at = parents.get(at)) path.push(at);
      return [id, path];
    }),
  );
}

interface Drawing {
  linked: boolean;
  counted_a: number;
  measured_a: number | null;
}

/** The part of what an EVSE counts for that is measured, as headroom/loading.py says it. */
export function measuredPart(evse: Drawing): number {
  return evse.linked && evse.measured_a !== null ? Math.min(evse.measured_a, evse.counted_a) : 0;
}

/** The feeders with the EVSEs' sums; one whose sums are what they were is given back as it is. */
export function feederLoads(
  feeders: readonly FeederLoad[],
  evses: readonly Pick<Evse, "feeder" | "phases" | keyof Drawing>[],
): FeederLoad[] {
  if (evses.length === 0) return [...feeders];
  const paths = pathsOf(feeders);
  const sums = new Map(feeders.map(({ id }) => [id, nothing()]));
  for (const evse of evses) {
    for (const feeder of paths.get(evse.feeder) ?? []) {
      const sum = sums.get(feeder);
      if (sum === undefined) continue;
      for (const phase of evse.phases) {
        sum.counted[phase] += evse.counted_a;
        sum.measured[phase] += measuredPart(evse);
      }
    }
  }
  return feeders.map((feeder) => {
    const { counted, measured } = sums.get(feeder.id) ?? nothing();
    const entries = Object.entries(feeder.phases) as [Phase, Schemas["PhaseLoad"]][];
    const same = (one: number, other: number) => Math.abs(one - other) < 0.005;
    if (entries.every(([at, load]) => same(load.ev_a, counted[at]) && same(load.ev_measured_a, measured[at]))) return feeder;
    const phases: FeederLoad["phases"] = {};
    for (const [phase, load] of entries) {
      const ev_a = counted[phase];
      phases[phase] = { ...load, ev_a, ev_measured_a: measured[phase], headroom_a: load.usable_a - load.base_load_a - ev_a };
    }
    return { ...feeder, phases };
  });
}

function nothing(): Record<"counted" | "measured", Record<Phase, number>> {
  return { counted: { A: 0, B: 0, C: 0 }, measured: { A: 0, B: 0, C: 0 } };
}
