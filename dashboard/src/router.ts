/** Hash routing: `#/SITE/path?query`. Screens are named in `screens/index.ts`. */
import { computed, signal } from "@preact/signals";

export type Params = Readonly<Record<string, string>>;

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
});

/** Where the page is: the site, the path below it beginning with "/" or empty, and the query. */
export const place = computed(() => readHash(hash.value));

export function readHash(text: string): { site: string | null; path: string; query: URLSearchParams } {
  const [path = "", query = ""] = text.replace(/^#/, "").split("?", 2);
  const [site, ...rest] = path.split("/").filter((part) => part !== "");
  return {
    site: site === undefined ? null : decode(site),
    path: rest.length === 0 ? "" : `/${rest.join("/")}`,
    query: new URLSearchParams(query),
  };
}

/** The address of a screen: `hrefTo(site, "/evses/:evse", { evse })`. */
export function hrefTo(site: string, path = "", params: Params = {}, query: Params = {}): string {
  const filled = path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
  const asked = new URLSearchParams(query).toString();
  return `#/${encodeURIComponent(site)}${filled}${asked === "" ? "" : `?${asked}`}`;
}

export function go(href: string): void {
  location.hash = href;
}

/** The parameters of a path that fits a pattern, or null. */
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) params[part.slice(1)] = decode(value);
    else if (part !== value) return null;
  }
  return params;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
