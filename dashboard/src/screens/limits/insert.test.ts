import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { hash: "", origin: "http://localhost" });
vi.stubGlobal("addEventListener", () => undefined);
vi.stubGlobal("document", { documentElement: { dataset: {} } });
const { check } = await import("./insert");

const TYPED = { feeder: "main", limit: "40", from: "", until: "", reason: "maintenance" };

describe("a limit as it is typed", () => {
  it("is right with a number and a reason", () => {
    expect(check(TYPED, "UTC")).toEqual({});
    expect(check({ ...TYPED, limit: "12,5", until: "2026-03-01T17:00" }, "UTC")).toEqual({});
  });
  it("is told what is wrong, field by field", () => {
    for (const limit of ["", " ", "x", "-1", "Infinity", "NaN"])
      expect(Object.keys(check({ ...TYPED, limit }, "UTC"))).toEqual(["limit"]);
    expect(Object.keys(check({ ...TYPED, reason: "  " }, "UTC"))).toEqual(["reason"]);
    const times = { from: "2026-03-01T17:00", until: "2026-03-01T17:00" };
    expect(Object.keys(check({ ...TYPED, ...times }, "UTC"))).toEqual(["until"]);
    expect(Object.keys(check({ ...TYPED, from: "soon" }, "UTC"))).toEqual(["from"]);
  });
});
