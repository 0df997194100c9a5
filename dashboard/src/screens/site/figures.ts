/** The figures at the head of the site. */
import type { Evse } from "../../live/building";
import type { FeederLoad, Phase } from "../../live/loads";

export interface Figures {
  charging: number;
  waiting: number;
  connected: number;
  /** What the cars draw at the root, on its most loaded phase. */
  drawn: { phase: Phase; amps: number } | null;
  /** The phase with the least room of all metered or shared panels. */
  room: { feeder: string; phase: Phase; amps: number } | null;
}

export function figuresOf(
  evses: readonly Evse[],
  feeders: readonly FeederLoad[],
  limited: ReadonlyMap<string, number>,
  stateOf: (evse: Evse) => string,
): Figures {
  let charging = 0;
  let waiting = 0;
  let connected = 0;
  for (const evse of evses) {
    if (evse.session !== null) connected++;
    const state = stateOf(evse);
    if (state === "waiting") waiting++;
    else if (state === "charging" && evse.session !== null) charging++;
  }
  let room: Figures["room"] = null;
  let drawn: Figures["drawn"] = null;
  for (const feeder of feeders) {
    for (const [phase, load] of Object.entries(feeder.phases) as [Phase, FeederLoad["phases"][Phase] & object][]) {
      const left = roomLeft(load, limited.get(feeder.id));
      if (room === null || left < room.amps) room = { feeder: feeder.id, phase, amps: left };
      if (feeder.parent === null && (drawn === null || load.ev_a > drawn.amps)) drawn = { phase, amps: load.ev_a };
    }
  }
  return { charging, waiting, connected, drawn, room };
}

interface Load {
  usable_a: number;
  base_load_a: number;
  planned_base_a: number;
  ev_a: number;
}

/** What cars may still be given on a phase, under its usable rating and its temporary limit; negative where the load itself
 * is over. What is kept for the building is not theirs, and no overload either. */
export function roomLeft(load: Load, limitA: number | undefined): number {
  const bound_a = Math.min(load.usable_a, limitA ?? Infinity) - load.ev_a;
  const over_a = bound_a - load.base_load_a;
  return over_a < 0 ? over_a : Math.max(0, bound_a - Math.max(load.base_load_a, load.planned_base_a));
}
