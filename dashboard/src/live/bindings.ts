/** Which phase of which feeder holds cars back, by the reasons of their limits. */
import type { Evse } from "./building";

const BINDING = new Set(["feeder_full", "group_full", "waiting", "base_overload", "stale_meter"]);

export type Bindings = ReadonlyMap<string, number>;

export function bindingKey(feeder: string, phase: string): string {
  return `${feeder}/${phase}`;
}

type Bound = Pick<Evse, "reason_kind" | "reason_feeder" | "reason_phase" | "session">;

/** How many cars each phase of each feeder holds back; phases that hold nobody back are left out. */
export function bindingsOf(evses: Iterable<Bound>): Bindings {
  const found = new Map<string, number>();
  for (const evse of evses) {
    if (evse.session === null || evse.reason_feeder === null || evse.reason_phase === null) continue;
    if (evse.reason_kind === null || !BINDING.has(evse.reason_kind)) continue;
    const key = bindingKey(evse.reason_feeder, evse.reason_phase);
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return found;
}

export function sameBindings(one: Bindings, other: Bindings): boolean {
  return one.size === other.size && [...one].every(([key, count]) => other.get(key) === count);
}
