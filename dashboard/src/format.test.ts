import { describe, expect, it } from "vitest";
import { numberOrNull } from "./format";

describe("a number that somebody typed", () => {
  it("has a comma or a point, is null where nothing was typed, and undefined where it is none", () => {
    expect(["12,5", " 12.5 ", "0"].map(numberOrNull)).toEqual([12.5, 12.5, 0]);
    expect(["", "  "].map(numberOrNull)).toEqual([null, null]);
    expect(["x", "Infinity", "NaN", "1,2,3"].map(numberOrNull)).toEqual([undefined, undefined, undefined, undefined]);
  });
});
