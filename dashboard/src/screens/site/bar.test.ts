import { describe, expect, it } from "vitest";
import { barOf } from "./bar";
import { overBy, roomLeft } from "./figures";

const load = { rating_a: 200, usable_a: 160, base_load_a: 40, planned_base_a: 60, ev_a: 80, ev_measured_a: 70 };

describe("a phase's bar", () => {
  it("ends its parts one after the other, within its length", () => {
    expect(barOf(load, undefined)).toEqual({ base: 0.2, drawn: 0.55, ev: 0.6, kept: 0.7, usable: 0.8, limit: null });
    const over = barOf({ ...load, ev_a: 360 }, 100);
    expect(over).toEqual({ base: 0.1, drawn: 0.275, ev: 1, kept: 1, usable: 0.4, limit: 0.25 });
  });
});

describe("the room left", () => {
  it("leaves the building what is kept for it", () => {
    expect(roomLeft(load, undefined)).toBe(20);
    expect(roomLeft({ ...load, planned_base_a: 90 }, undefined)).toBe(0);
  });

  it("is what is over where the load itself is, under the lower of rating and limit", () => {
    expect(roomLeft(load, 100)).toBe(-20);
    expect(roomLeft({ ...load, base_load_a: 90 }, undefined)).toBe(-10);
  });
});

describe("an overload", () => {
  it("is of what is measured, under the lower of rating and limit", () => {
    expect(overBy(load, undefined, "measured")).toBe(0);
    expect(overBy(load, 100, "measured")).toBe(10);
    expect(overBy({ ...load, ev_measured_a: 130 }, undefined, "forecast")).toBe(10);
  });

  it("is not what only counts: cars never heard from, a building whose meter never spoke", () => {
    const full = { ...load, ev_a: 188, ev_measured_a: 0 };
    expect(roomLeft(full, undefined)).toBeLessThan(0);
    expect(overBy(full, undefined, "measured")).toBe(0);
    expect(overBy({ ...load, base_load_a: 160 }, undefined, "failsafe")).toBe(0);
    expect(overBy({ ...load, base_load_a: 160 }, 60, "failsafe")).toBe(10);
  });
});
