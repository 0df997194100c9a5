import { describe, expect, it, vi } from "vitest";

vi.stubGlobal("location", { hash: "" });
vi.stubGlobal("addEventListener", () => undefined);
const { hrefTo, match, readHash } = await import("./router");

describe("addresses", () => {
  it("come back as they were written, whatever an id holds", () => {
    for (const id of ["P1-01", "a b", "Ä/ö", "50%", "x?y#z"]) {
      const { site, path, query } = readHash(hrefTo("site/1", "/evses/:evse", { evse: id }, { since: "a&b" }));
      expect(site).toBe("site/1");
      expect(match("/evses/:evse", path)).toEqual({ evse: id });
      expect(query.get("since")).toBe("a&b");
    }
  });

  it("without a screen are the site's", () => {
    expect(match("", readHash("#/demo").path)).toEqual({});
    expect(match("", readHash("#/demo/limits").path)).toBeNull();
    expect(readHash("").site).toBeNull();
  });
});
