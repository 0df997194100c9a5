import { expect, it } from "vitest";
import { stack } from "./stack";

const MINUTE = (minute: number) => new Date(Date.UTC(2026, 2, 1, 17, minute)).toISOString();

const LOAD = {
  feeder: "main",
  since: MINUTE(0),
  until: MINUTE(59),
  step_s: 60,
  rating_a: 100,
  usable_a: 80,
  at: [MINUTE(0), MINUTE(1), MINUTE(10)],
  limit_a: [80, 40, 80],
  phases: { A: { base_a: [10, 20, 30], upper_a: [15, 25, 35], ev_a: [0, 6, 12], largest_a: [11, 27, 43] } },
};

it("EVs stand on the building, and time that was not seen is a gap", () => {
  const made = stack(LOAD, null, "A", 0);
  expect(made.building).toEqual([10, 20, null, 30]);
  expect(made.total).toEqual([10, 26, null, 42]);
  expect(made.limit).toEqual([80, 40, null, 80]);
  expect(made.at).toEqual([...made.at].sort((one, other) => one - other));
});

it("the forecast begins behind what was seen and ends where the chart does", () => {
  const hours = [0, 20, 40, 58].map((minute) => ({ at: MINUTE(minute), median_a: 9, low_a: 5, high_a: 14, by: "narx" }));
  const phase = { upper_a: null, reading: "", drifted: false, hours };
  const forecast = { feeder: "main", meter: "m", doubt: null, phases: { A: phase } };
  const made = stack(LOAD, forecast, "A", Date.parse(MINUTE(50)));
  expect(made.median).toEqual([null, null, null, 30, 9, 9]);
  expect(made.high.at(-1)).toBe(14);
  expect(stack(LOAD, forecast, "B", 0).total.filter((value) => value !== null)).toEqual([0, 0, 0]);
});
