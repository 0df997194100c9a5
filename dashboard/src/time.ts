/** The service's own time, which need not be this browser's: a demo runs on a fast clock. Times are shown in the site's zone. */
import { signal } from "@preact/signals";

interface Tick {
  serviceMs: number;
  localMs: number;
  rate: number;
}

let tick: Tick = { serviceMs: Date.now(), localMs: performance.now(), rate: 1 };
let known = false;

/** Told by the event stream every few seconds; from two of them follows how fast the service's clock runs. */
export function serviceTold(at: string, localMs: number = performance.now()): void {
  const serviceMs = Date.parse(at);
  const passedMs = localMs - tick.localMs;
  const rate = known && passedMs > 250 ? (serviceMs - tick.serviceMs) / passedMs : tick.rate;
  tick = { serviceMs, localMs, rate: rate > 0 && rate < 10_000 ? rate : 1 };
  known = true;
}

/** What the service's clock shows now, as Unix milliseconds. */
export function serviceNow(localMs: number = performance.now()): number {
  return tick.serviceMs + (localMs - tick.localMs) * tick.rate;
}

/** The service's time, renewed once a second: read it in a component that must not grow old. */
export const now = signal(serviceNow());
setInterval(() => {
  if (!document.hidden) now.value = serviceNow();
}, 1000);

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(options);
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    formats.set(key, found);
  }
  return found;
}

const HM: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
const DAY: Intl.DateTimeFormatOptions = { weekday: "short", day: "numeric", month: "short" };

/** "17:04"; with the day where it is not today's. */
export function clockTime(at: string | number, zone: string, today: number = serviceNow()): string {
  const ms = typeof at === "number" ? at : Date.parse(at);
  const day = format(zone, DAY);
  const time = format(zone, HM).format(ms);
  return day.format(ms) === day.format(today) ? time : `${day.format(ms)}, ${time}`;
}

/** "Mon, 2 Mar, 17:04:05". */
export function fullTime(at: string | number, zone: string): string {
  const ms = typeof at === "number" ? at : Date.parse(at);
  return format(zone, { ...DAY, ...HM, second: "2-digit" }).format(ms);
}

/** "3 h 20 min", "4 min", "12 s". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.round(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h >= 48) return `${Math.floor(h / 24)} d ${h % 24} h`;
  return min % 60 === 0 ? `${h} h` : `${h} h ${min % 60} min`;
}
