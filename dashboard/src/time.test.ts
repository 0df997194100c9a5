import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("document", { hidden: true });
const { clockTime, duration, serviceNow, serviceTold } = await import("./time");

describe("the service's clock", () => {
  it("is followed at its own pace", () => {
    serviceTold("2026-03-02T17:00:00Z", 1000);
    serviceTold("2026-03-02T17:02:00Z", 3000);
    expect(serviceNow(4000)).toBe(Date.parse("2026-03-02T17:03:00Z"));
    serviceTold("2026-03-02T17:04:00Z", 5000);
    expect(serviceNow(5500)).toBe(Date.parse("2026-03-02T17:04:30Z"));
  });
});

describe("the site's own wall clock", () => {
  it("tells the day only where it is another one", () => {
    const today = Date.parse("2026-03-02T17:00:00Z");
    expect(clockTime("2026-03-02T18:04:00Z", "UTC", today)).toBe("18:04");
    expect(clockTime("2026-03-03T07:30:00Z", "UTC", today)).toBe("Tue 3 Mar, 07:30");
  });
});

describe("durations", () => {
  it("are told in the two largest units", () => {
    const told = [0, 59_400, 60_000, 3_540_000, 3_600_000, 12_000_000, 200_000_000].map(duration);
    expect(told).toEqual(["0 s", "59 s", "1 min", "59 min", "1 h", "3 h 20 min", "2 d 7 h"]);
  });
});
