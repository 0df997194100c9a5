/** The figures at the head of the site. */
import type { Evse } from "../../live/building";
import { type FeederLoad, measuredPart, type Phase } from "../../live/loads";

export interface Figures {
  charging: number;
  waiting: number;
  connected: number;
  /** EVSEs that count although no car of theirs draws: not heard from, or not yet seen to obey. */
  unproven: number;
  /** What the cars are measured at at the root, on its most loaded phase, and what they are counted at. */
  drawn: { phase: Phase; amps: number; counted: number } | null;
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
  let unproven = 0;
  for (const evse of evses) {
    if (evse.session !== null) connected++;
    const state = stateOf(evse);
    if ((evse.session === null || !evse.linked) && evse.counted_a - measuredPart(evse) > 0.05) unproven++;
    if (state === "waiting") waiting++;
    else if (state === "charging" && evse.session !== null) charging++;
  }
  let room: Figures["room"] = null;
  let drawn: Figures["drawn"] = null;
  for (const feeder of feeders) {
    for (const [phase, load] of Object.entries(feeder.phases) as [Phase, FeederLoad["phases"][Phase] & object][]) {
      const left = roomLeft(load, limited.get(feeder.id));
      if (room === null || left < room.amps) room = { feeder: feeder.id, phase, amps: left };
      const found = { phase, amps: load.ev_measured_a, counted: load.ev_a };
      if (feeder.parent === null && (drawn === null || isMore(found, drawn))) drawn = found;
    }
  }
  return { charging, waiting, connected, unproven, drawn, room };
}

type Drawn = NonNullable<Figures["drawn"]>;

function isMore(one: Drawn, other: Drawn): boolean {
  return one.amps === other.amps ? one.counted > other.counted : one.amps > other.amps;
}

interface Load {
  usable_a: number;
  base_load_a: number;
  planned_base_a: number;
  ev_a: number;
  ev_measured_a: number;
}

/** What cars may still be given on a phase, under its usable rating and its temporary limit; negative where what is counted
 * is over. What is kept for the building is not theirs, and no overload either. */
export function roomLeft(load: Load, limitA: number | undefined): number {
  const bound_a = Math.min(load.usable_a, limitA ?? Infinity) - load.ev_a;
  const over_a = bound_a - load.base_load_a;
  return over_a < 0 ? over_a : Math.max(0, bound_a - Math.max(load.base_load_a, load.planned_base_a));
}

/** By how much the load is over where it is known: cars that nobody has heard from and the design load of a building whose
 * meter is silent are counted, so that nobody is given their share, but they are no overload. */
export function overBy(load: Load, limitA: number | undefined, source: string): number {
  const base_a = isGuess(source) ? 0 : load.base_load_a;
  return Math.max(0, base_a + load.ev_measured_a - Math.min(load.usable_a, limitA ?? Infinity));
}

/** Whether a building's load is nobody's measurement: what it was designed for counts. */
export function isGuess(source: string): boolean {
  return source === "failsafe";
}
