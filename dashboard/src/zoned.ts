/** Between what a person types into a date field and an instant: the site's zone counts, not the browser's. */

/** "2026-03-01T17:00" in `zone` as RFC 3339 in UTC; null for what is no time. Of an hour that comes twice, the first. */
export function instantOf(text: string, zone: string): string | null {
  const naive = Date.parse(`${text}Z`);
  if (text === "" || Number.isNaN(naive)) return null;
  // The offset at that instant is not known before the instant is: the guess is put right, once is enough but at a change.
  let found = naive - offsetMs(naive, zone);
  found = naive - offsetMs(found, zone);
  return new Date(found).toISOString();
}

/** An instant as a date field of `zone` has it: "2026-03-01T17:00". */
export function fieldOf(ms: number, zone: string): string {
  return new Date(ms + offsetMs(ms, zone)).toISOString().slice(0, 16);
}

function offsetMs(ms: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(ms);
  const name = parts.find((part) => part.type === "timeZoneName")?.value ?? "GMT";
  const found = /GMT([+-])(\d{2}):(\d{2})/.exec(name);
  if (found === null) return 0;
  const minutes = Number(found[2]) * 60 + Number(found[3]);
  return (found[1] === "-" ? -minutes : minutes) * 60_000;
}
