/** The parts of a phase's bar, each as a share of its length. The bar is as long as the rating, or the load above it. */
interface Load {
  rating_a: number;
  usable_a: number;
  base_load_a: number;
  planned_base_a: number;
  ev_a: number;
  ev_measured_a: number;
}

/** Where each part ends, from the left: the building, what cars are measured at, what they are counted at, what is kept for the building. */
export interface Bar {
  base: number;
  drawn: number;
  ev: number;
  kept: number;
  usable: number;
  limit: number | null;
}

export function barOf(load: Load, limitA: number | undefined): Bar {
  const base_a = Math.max(0, load.base_load_a);
  const ev_a = Math.max(0, load.ev_a);
  const whole = Math.max(load.rating_a, base_a + ev_a, 1);
  const kept_a = Math.max(0, load.planned_base_a - base_a);
  return {
    base: share(base_a / whole),
    drawn: share((base_a + Math.min(ev_a, Math.max(0, load.ev_measured_a))) / whole),
    ev: share((base_a + ev_a) / whole),
    kept: share((base_a + ev_a + kept_a) / whole),
    usable: share(load.usable_a / whole),
    limit: limitA === undefined ? null : share(limitA / whole),
  };
}

function share(value: number): number {
  return Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;
}
