/** What an EVSE drew and was allowed, on one time axis. */
export interface Point {
  at: number;
  amps: number | null;
}

export type Aligned = [number[], (number | null)[], (number | null)[]];

const GAP_S = 15 * 60;

/** Seconds, currents, limits. A limit holds until the next one; a long silence of the meter is a gap, not a line. */
export function aligned(currents: readonly Point[], limits: readonly Point[], from: number, to: number): Aligned {
  const events = [
    ...currents.map((point) => ({ ...point, limit: false })),
    ...limits.map((point) => ({ ...point, limit: true })),
  ].sort((one, other) => one.at - other.at);
  const rows: Aligned = [[], [], []];
  let current: Point | null = null;
  let limit: number | null = null;
  const put = (at: number, drawn: number | null) => {
    rows[0].push(at);
    rows[1].push(drawn);
    rows[2].push(limit);
  };
  for (const event of events) {
    if (event.limit) {
      limit = event.amps;
      if (event.at >= from) put(event.at, valueAt(current, event.at));
      continue;
    }
    if (current !== null && event.at - current.at > GAP_S && event.at >= from) put(current.at + GAP_S, null);
    current = event;
    if (event.at >= from) put(event.at, event.amps);
  }
  const last = rows[0][rows[0].length - 1];
  if (last === undefined || last < to) put(to, valueAt(current, to));
  if (rows[0][0] !== undefined && rows[0][0] > from) {
    const before = [...limits].filter((point) => point.at <= from).sort((one, other) => other.at - one.at)[0];
    rows[0].unshift(from);
    rows[1].unshift(null);
    rows[2].unshift(before?.amps ?? null);
  }
  return rows;
}

function valueAt(current: Point | null, at: number): number | null {
  return current === null || at - current.at > GAP_S ? null : current.amps;
}

/** A list with a newer point at its end; one at the same instant is replaced, and what is older than `from` is dropped. */
export function withPoint(points: readonly Point[], point: Point, from: number): Point[] {
  // The last point before the range is kept: it says what held when the range began.
  const first = points.findLastIndex((one) => one.at <= from);
  const kept = points.slice(Math.max(0, first)).filter((one) => one.at < point.at);
  return [...kept, point];
}
