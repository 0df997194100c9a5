import { describe, expect, it } from "vitest";
import { aligned, withPoint } from "./series";

describe("currents beside limits", () => {
  it("stand on one rising axis, each limit holding until the next", () => {
    const currents = [
      { at: 100, amps: 6 },
      { at: 160, amps: 9 },
    ];
    const limits = [
      { at: 50, amps: 6 },
      { at: 130, amps: 10 },
    ];
    const [times, drawn, allowed] = aligned(currents, limits, 90, 200);
    expect(times).toEqual([90, 100, 130, 160, 200]);
    expect(drawn).toEqual([null, 6, 6, 9, 9]);
    expect(allowed).toEqual([6, 6, 10, 10, 10]);
  });

  it("leave a gap where the meter was silent", () => {
    const [times, drawn] = aligned([{ at: 0, amps: 8 }, { at: 7200, amps: 7 }], [], 0, 7200);
    expect(times).toEqual([0, 900, 7200]);
    expect(drawn).toEqual([8, null, 7]);
  });

  it("are an empty axis to the end where nothing is known", () => {
    expect(aligned([], [], 10, 20)).toEqual([[10, 20], [null, null], [null, null]]);
  });

  it("grow by what comes, and keep what held when the range began", () => {
    const points = [1, 2, 3, 4].map((at) => ({ at, amps: at }));
    expect(withPoint(points, { at: 5, amps: 5 }, 2.5).map((one) => one.at)).toEqual([2, 3, 4, 5]);
    expect(withPoint(points, { at: 4, amps: 9 }, 0)).toEqual([...points.slice(0, 3), { at: 4, amps: 9 }]);
  });
});
