/** What a driver wants to know first. */
import type { Schemas } from "../../api/client";
import type { IconName } from "../../components/icon";
import { texts } from "../../texts";

type Seen = Pick<Schemas["DriverDocument"], "state" | "connected" | "session" | "setpoint_a" | "measured_a">;

export interface Headline {
  headline: string;
  hint: string | null;
  tone: "good" | "busy" | "warn" | "bad" | "mute";
  icon: IconName;
}

const DRAWS_A = 0.5;

export function headlineOf(seen: Seen): Headline {
  const words = texts.driver.headline;
  if (!seen.connected) return { headline: words.offline, hint: words.offlineHint, tone: "bad", icon: "offline" };
  if (seen.state === "faulted" || seen.state === "unavailable")
    return { headline: words.fault, hint: words.faultHint, tone: "bad", icon: "alerts" };
  if (seen.session === null) return { headline: words.free, hint: words.freeHint, tone: "mute", icon: "plug" };
  if ((seen.measured_a ?? 0) > DRAWS_A) return { headline: words.charging, hint: null, tone: "good", icon: "bolt" };
  if (seen.setpoint_a === 0) return { headline: words.waiting, hint: null, tone: "warn", icon: "clock" };
  if (seen.state === "suspended_ev" || seen.state === "finishing")
    return { headline: words.full, hint: null, tone: "busy", icon: "pause" };
  return { headline: words.plugged, hint: null, tone: "busy", icon: "plug" };
}
