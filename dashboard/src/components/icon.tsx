/** Line icons, drawn here: 24 by 24, in the colour of the text. */
const PATHS = {
  site: "M12 3v4M5 11h14M5 11v4M12 7v8M19 11v4M3 15h4v5H3zM10 15h4v5h-4zM17 15h4v5h-4z",
  timeline: "M3 20h18M4 16l4-6 4 3 4-8 4 5",
  sessions: "M5 17h14M6 17v2M18 17v2M4 17v-4l2-6h12l2 6v4M7 13h.01M17 13h.01",
  meters: "M12 20a8 8 0 1 1 8-8M12 12l4-4M12 4v2M4 12h2",
  alerts: "M12 4 3 19h18zM12 10v4M12 16.5v.01",
  limits: "M4 6h16M8 20v-8M12 20v-11M16 20v-6",
  analysis: "M4 20V4M4 20h16M8 16v-4M12 16V8M16 16v-6",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M6 15v4",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  down: "M5 9l7 7 7-7",
  close: "M6 6l12 12M18 6 6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M19 5l-1.5 1.5M6.5 17.5 5 19",
  moon: "M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
  pause: "M9 6v12M15 6v12",
  plug: "M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4",
  check: "M5 12.5l4.5 4.5L19 7",
  cross: "M6 6l12 12M18 6 6 18",
  question: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5v.01",
  offline: "M3 3l18 18M8.5 15a5 5 0 0 1 5-1.2M5 11.5a10 10 0 0 1 4-2.3M2 8a15 15 0 0 1 4-2.6M12 19v.01M13 8.6a10 10 0 0 1 6 2.9M11 4.6A15 15 0 0 1 22 8",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v9H5z",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3 2",
  meter: "M12 20a8 8 0 1 1 8-8M12 12l4-4",
  logout: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
  qr: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2zM18 14h2M14 18v2",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  plus: "M12 5v14M5 12h14",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
