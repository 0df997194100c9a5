import { describe, expect, it } from "vitest";
import { bindingKey, bindingsOf, sameBindings } from "./bindings";
import { limitsInForce } from "./limits";
import { type FeederLoad, feederLoads, pathsOf } from "./loads";

function phase(base_load_a = 10) {
  const ev = { ev_a: 0, ev_measured_a: 0 };
  return { rating_a: 100, usable_a: 80, base_load_a, planned_base_a: base_load_a, ...ev, headroom_a: 80 - base_load_a };
}

function feeder(id: string, parent: string | null): FeederLoad {
  const phases = { A: phase(), B: phase(), C: phase() };
  return { id, parent, meter: null, source: "measured", reading_at: null, phases };
}

const TREE = [feeder("main", null), feeder("p1", "main"), feeder("p2", "main")];

describe("feeders", () => {
  it("count what is below them on its own phases, and leave the others", () => {
    const evses = [
      { feeder: "p1", phases: ["A" as const, "B" as const], linked: true, counted_a: 16, measured_a: 20 },
      { feeder: "p1", phases: ["B" as const], linked: false, counted_a: 6, measured_a: 5 },
    ];
    const [main, p1, p2] = feederLoads(TREE, evses);
    expect(main?.phases.B?.ev_a).toBe(22);
    expect(p1?.phases.A).toMatchObject({ ev_a: 16, ev_measured_a: 16, headroom_a: 54 });
    expect(main?.phases.B?.ev_measured_a).toBe(16);
    const heard = feederLoads(TREE, evses.map((one) => ({ ...one, linked: true })));
    expect(heard[0]?.phases.B).toMatchObject({ ev_a: 22, ev_measured_a: 21 });
    expect(main?.phases.C?.ev_a).toBe(0);
    expect(p2).toBe(TREE[2]);
  });

  it("know their way up, also where a file is wrong", () => {
    expect(pathsOf(TREE).get("p1")).toEqual(["p1", "main"]);
    expect(pathsOf([feeder("a", "b"), feeder("b", "a")]).get("a")).toEqual(["a", "b"]);
  });
});

describe("what binds", () => {
  const full = { reason_kind: "feeder_full", reason_feeder: "p1", reason_phase: "A" as const, session: null };
  const session = {} as never;

  it("is told by the reasons of the cars that are held back, and by no others", () => {
    const held = [{ ...full, session }, { ...full, reason_kind: "waiting", session }];
    const others = [full, { ...full, reason_kind: "granted", session }, { ...full, reason_phase: null, session }];
    expect(bindingsOf([...held, ...others])).toEqual(new Map([[bindingKey("p1", "A"), 2]]));
  });

  it("is the same only with the same counts", () => {
    const one = new Map([["p1/A", 2]]);
    expect(sameBindings(one, new Map(one))).toBe(true);
    expect(sameBindings(one, new Map([["p1/A", 1]]))).toBe(false);
    expect(sameBindings(one, new Map())).toBe(false);
  });
});

describe("temporary limits", () => {
  const limit = (limit_a: number, from: string, until: string | null) => ({
    id: String(limit_a), feeder: "main", limit_a, from, until, reason: "", author: "", in_force: true,
  });
  it("hold from their start to their end, the lowest of them", () => {
    const all = [
      limit(90, "2026-03-01T10:00:00Z", null),
      limit(50, "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"),
    ];
    const at = (time: string) => limitsInForce(all, Date.parse(time)).get("main");
    expect(at("2026-03-01T09:59:59Z")).toBeUndefined();
    expect(at("2026-03-01T10:00:00Z")).toBe(90);
    expect(at("2026-03-01T12:30:00Z")).toBe(50);
    expect(at("2026-03-01T13:00:00Z")).toBe(90);
  });
});
