import { describe, expect, it } from "vitest";
import { fieldOf, instantOf } from "./zoned";

const ZONE = "America/Vancouver";

describe("times of the site's zone", () => {
  it("are read with the offset that holds then, in winter and in summer", () => {
    expect(instantOf("2026-01-15T17:00", ZONE)).toBe("2026-01-16T01:00:00.000Z");
    expect(instantOf("2026-07-15T17:00", ZONE)).toBe("2026-07-16T00:00:00.000Z");
    expect(instantOf("2026-07-15T17:00", "UTC")).toBe("2026-07-15T17:00:00.000Z");
    expect(instantOf("2026-07-15T17:00", "Asia/Kolkata")).toBe("2026-07-15T11:30:00.000Z");
  });
  it("come back as they were typed, around a change of the clock too", () => {
    for (let hour = 0; hour < 24 * 6; hour++) {
      const ms = Date.parse("2026-03-06T00:30:00Z") + hour * 3_600_000;
      const text = fieldOf(ms, ZONE);
      expect(instantOf(text, ZONE)).toBe(new Date(ms).toISOString());
    }
  });
  it("are null where nothing sensible is typed", () => {
    expect(instantOf("", ZONE)).toBeNull();
    expect(instantOf("soon", ZONE)).toBeNull();
  });
});
