import { describe, expect, it } from "vitest";
import { texts } from "../../texts";
import { headlineOf } from "./headline";

const words = texts.driver.headline;
const car = { state: "charging", connected: true, session: "s", setpoint_a: 16, measured_a: 15.8 };

describe("a driver's headline", () => {
  it("tells what the car does, not what the charger calls it", () => {
    expect(headlineOf(car).headline).toBe(words.charging);
    expect(headlineOf({ ...car, setpoint_a: 0, measured_a: 0 }).headline).toBe(words.waiting);
    expect(headlineOf({ ...car, state: "suspended_ev", measured_a: 0.1 }).headline).toBe(words.full);
    expect(headlineOf({ ...car, session: null, state: "available" }).headline).toBe(words.free);
  });

  it("tells trouble before anything else", () => {
    expect(headlineOf({ ...car, connected: false }).headline).toBe(words.offline);
    expect(headlineOf({ ...car, state: "faulted" }).headline).toBe(words.fault);
  });
});
