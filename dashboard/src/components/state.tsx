/** How an EVSE's state looks: a word, an icon and a tone, from what the charger says and what it may draw. */
import type { Evse } from "../live/building";
import { texts } from "../texts";
import type { IconName } from "./icon";
import { Chip, type Tone } from "./parts";

export interface Look {
  /** A key of `texts.states`. */
  state: string;
  tone: Tone;
  icon: IconName;
}

const LOOKS: Record<string, Omit<Look, "state">> = {
  available: { tone: "mute", icon: "check" },
  preparing: { tone: "busy", icon: "plug" },
  charging: { tone: "good", icon: "bolt" },
  waiting: { tone: "warn", icon: "clock" },
  suspended_ev: { tone: "busy", icon: "pause" },
  suspended_evse: { tone: "warn", icon: "pause" },
  finishing: { tone: "busy", icon: "plug" },
  reserved: { tone: "busy", icon: "lock" },
  unavailable: { tone: "bad", icon: "cross" },
  faulted: { tone: "bad", icon: "alerts" },
  offline: { tone: "bad", icon: "offline" },
  unknown: { tone: "mute", icon: "question" },
};

type Seen = Pick<Evse, "state" | "linked" | "setpoint_a" | "reason_kind"> & { session: unknown };

/** A car that is given nothing for now waits, whatever its charger calls that; one that takes nothing pauses by itself. */
export function lookOf(evse: Seen): Look {
  const state = evse.linked ? paused(evse) : "offline";
  const look = LOOKS[state];
  return look === undefined ? { state: "unknown", tone: "mute", icon: "question" } : { state, ...look };
}

function paused(evse: Seen): string {
  const pausable = evse.state === "charging" || evse.state === "suspended_evse";
  if (!pausable || evse.session === null || evse.setpoint_a !== 0) return evse.state;
  return evse.reason_kind === "car_full" ? "suspended_ev" : "waiting";
}

export function StateChip({ evse }: { evse: Seen }) {
  const { state, tone, icon } = lookOf(evse);
  return (
    <Chip tone={tone} icon={icon}>
      {texts.states[state]}
    </Chip>
  );
}
