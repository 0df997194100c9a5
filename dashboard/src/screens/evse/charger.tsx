/** How the charger is: its link, what it is, and what it was seen to do. */
import { all, api, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Card, Chip, type Tone } from "../../components/parts";
import type { IconName } from "../../components/icon";
import { amps, NONE } from "../../format";
import type { Building, Evse } from "../../live/building";
import { texts } from "../../texts";
import { clockTime } from "../../time";

export function Charger({ building, evse }: { building: Building; evse: Evse }) {
  const words = texts.evse.charger;
  const path = { site: building.id };
  const asked = useAsked(
    () =>
      all((cursor) => told(api.GET("/api/v1/sites/{site}/chargers", { params: { path, query: { cursor } } }))).then(
        (found) => found.find((one) => one.id === evse.charger),
      ),
    [building.id, evse.charger, evse.linked],
  );
  const facts = asked.data;
  const at = (time: string | null | undefined) => (time == null ? NONE : clockTime(time, building.zone));
  const health = healthOf(evse);
  return (
    <Card
      title={words.title}
      actions={
        <Chip tone={health.tone} icon={health.icon}>
          {words.health[health.name]}
        </Chip>
      }
    >
      <dl class="facts">
        <dt>{words.link}</dt>
        <dd>
          {evse.linked ? words.linked : words.notLinked}{" "}
          {facts?.link_changed_at != null && words.since(at(facts.link_changed_at))}
        </dd>
        <dt>{words.id}</dt>
        <dd>
          {evse.charger}, {words.connector.toLowerCase()} {evse.connector}
        </dd>
        <dt>{words.model}</dt>
        <dd>{[facts?.vendor, facts?.model].filter(Boolean).join(" ") || NONE}</dd>
        <dt>{words.firmware}</dt>
        <dd>{facts?.firmware ?? NONE}</dd>
        <dt>{words.version}</dt>
        <dd>{evse.version ?? NONE}</dd>
        <dt>{words.feeder}</dt>
        <dd>
          {evse.feeder}, {evse.phases.join(" ")}
        </dd>
        {evse.wiring !== null && (
          <>
            <dt>{words.wiring}</dt>
            <dd>{evse.wiring.text}</dd>
          </>
        )}
        <dt>{words.schedule}</dt>
        <dd>
          {amps(evse.schedule_a)} {evse.schedule_at !== null && `(${at(evse.schedule_at)})`}
        </dd>
        {evse.ignored_at !== null && (
          <>
            <dt>{words.ignored}</dt>
            <dd>
              {amps(evse.ignored_a)} ({at(evse.ignored_at)})
            </dd>
          </>
        )}
        {evse.stays_paused_since !== null && (
          <>
            <dt>{words.paused}</dt>
            <dd>{at(evse.stays_paused_since)}</dd>
          </>
        )}
      </dl>
    </Card>
  );
}

interface Health {
  name: "good" | "watch" | "bad";
  tone: Tone;
  icon: IconName;
}

type Seen = Pick<Evse, "linked" | "trusted" | "state" | "stays_paused_since" | "wiring">;

/** Trouble: it cannot be told, or does not obey. A look: something that a person should see to. */
export function healthOf(evse: Seen): Health {
  if (!evse.linked || !evse.trusted || evse.state === "faulted") return { name: "bad", tone: "bad", icon: "alerts" };
  const miswired = evse.wiring !== null && evse.wiring.verdict === "wrong";
  if (evse.state === "unavailable" || evse.stays_paused_since !== null || miswired)
    return { name: "watch", tone: "warn", icon: "question" };
  return { name: "good", tone: "good", icon: "check" };
}
