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

/** The feeders with the EVSEs' sums; one whose sums are what they were is given back as it is. */
export function feederLoads(
  feeders: readonly FeederLoad[],
  evses: readonly Pick<Evse, "feeder" | "phases" | "counted_a">[],
): FeederLoad[] {
  if (evses.length === 0) return [...feeders];
  const paths = pathsOf(feeders);
  const sums = new Map(feeders.map(({ id }) => [id, { A: 0, B: 0, C: 0 }]));
  for (const evse of evses) {
    for (const feeder of paths.get(evse.feeder) ?? []) {
      const sum = sums.get(feeder);
      if (sum !== undefined) for (const phase of evse.phases) sum[phase] += evse.counted_a;
    }
  }
  return feeders.map((feeder) => {
    const sum = sums.get(feeder.id) ?? { A: 0, B: 0, C: 0 };
    const entries = Object.entries(feeder.phases) as [Phase, Schemas["PhaseLoad"]][];
    if (entries.every(([phase, load]) => Math.abs(load.ev_a - sum[phase]) < 0.005)) return feeder;
    const phases: FeederLoad["phases"] = {};
    for (const [phase, load] of entries) {
      const ev_a = sum[phase];
      phases[phase] = { ...load, ev_a, headroom_a: load.usable_a - load.base_load_a - ev_a };
    }
    return { ...feeder, phases };
  });
}
