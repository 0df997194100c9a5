/** The temporary limits in force. */
import type { Schemas } from "../api/client";

/** The lowest limit in force on each feeder, in A per phase. */
export function limitsInForce(limits: readonly Schemas["LimitDocument"][], nowMs: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const limit of limits) {
    const begun = Date.parse(limit.from) <= nowMs;
    const over = limit.until !== null && Date.parse(limit.until) <= nowMs;
    if (begun && !over) found.set(limit.feeder, Math.min(limit.limit_a, found.get(limit.feeder) ?? Infinity));
  }
  return found;
}
