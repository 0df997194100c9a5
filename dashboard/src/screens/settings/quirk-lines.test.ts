import { expect, it } from "vitest";
import { lines, written } from "./quirk-lines";

it("quirks come back from their lines as they were", () => {
  const quirks = { after_zero: "stays_paused", write_budget_per_day: 25, reports_line_current: false, seen: [1, 2] };
  expect(written(lines(quirks))).toEqual(quirks);
});

it("a line without a name is no quirk", () => {
  expect(written([{ quirk: " ", value: "1" }, { quirk: " a ", value: " 2 " }])).toEqual({ a: 2 });
});
