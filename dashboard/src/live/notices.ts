/** What the event stream says: docs/api.md, made in headroom/notices.py. */
import type { Schemas } from "../api/client";

export interface EvseNotice {
  id: string;
  state: string;
  linked: boolean;
  in_force_a: number;
  counted_a: number;
  measured_a: number | null;
  measured_at: string | null;
  confirmed: boolean;
  trusted: boolean;
  transaction_id: string | null;
  energy_kwh: number | null;
}

export interface FeederNotice {
  id: string;
  source: string;
  base_load_a: Partial<Record<"A" | "B" | "C", number>>;
  planned_base_a: Partial<Record<"A" | "B" | "C", number>>;
  metered_a: Partial<Record<"A" | "B" | "C", number>> | null;
  reading_at: string | null;
}

export interface Changed {
  evse: string;
  limit_a: number;
  target_a: number;
  kind: string;
  text: string;
  feeder: string | null;
  phase: "A" | "B" | "C" | null;
  place: number | null;
  next_turn_at: string | null;
}

export interface DecisionNotice {
  id: string;
  at: string;
  trigger: string;
  rung: string;
  rung_why: string;
  elapsed_ms: number;
  alarms: string[];
  /** Limits that changed. */
  changed: Changed[];
  /** Limits that stand, for another reason. */
  explained: Changed[];
}

export interface AlarmNotice {
  kind: string;
  subject: string;
  text: string;
  raised_at: string;
  cleared_at: string | null;
}

/** By the event's name. */
export interface Notices {
  time: { at: string };
  evse: EvseNotice;
  feeder: FeederNotice;
  decision: DecisionNotice;
  alarm: AlarmNotice;
  limit: { id: string; feeder?: string; lifted: boolean };
  session: { evse: string };
  site: Schemas["SiteSummary"];
  phase_mapping: Record<string, unknown>;
  reset: { why: string };
}

export type NoticeName = keyof Notices;
export type Notice = { [N in NoticeName]: { name: N; data: Notices[N] } }[NoticeName];

export const NOTICE_NAMES: readonly NoticeName[] = [
  "time",
  "evse",
  "feeder",
  "decision",
  "alarm",
  "limit",
  "session",
  "site",
  "phase_mapping",
  "reset",
];
