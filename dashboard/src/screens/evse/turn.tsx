/** The EVSE's place in the rotation, and who else waits for the same room. */
import { Card, Chip } from "../../components/parts";
import type { Building, Evse } from "../../live/building";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { clockTime, duration, now } from "../../time";

export function Turn({ building, evse }: { building: Building; evse: Evse }) {
  const words = texts.evse.turn;
  const scheduler = building.site.value?.scheduler ?? "";
  const queue = evse.reason_feeder === null ? [] : waitingAt(building, evse.reason_feeder);
  return (
    <Card title={words.title}>
      <p>{said(building, evse)}</p>
      {words.scheduler[scheduler] !== undefined && <p>{words.scheduler[scheduler]}</p>}
      {queue.length > 0 && evse.reason_feeder !== null && (
        <>
          <h3 class="queue-title">{words.queue(evse.reason_feeder)}</h3>
          <ol class="queue">
            {queue.map((one) => (
              <li key={one.id}>
                <span class="number">{one.place}</span>
                {one.id === evse.id ? (
                  <strong>{one.id}</strong>
                ) : (
                  <a href={hrefTo(building.id, "/evses/:evse", { evse: one.id })}>{one.id}</a>
                )}
                {one.id === evse.id && <Chip tone="busy">{words.self}</Chip>}
                {one.next_turn_at !== null && (
                  <span class="queue-at">{words.queueAt(clockTime(one.next_turn_at, building.zone))}</span>
                )}
              </li>
            ))}
          </ol>
        </>
      )}
    </Card>
  );
}

function said(building: Building, evse: Evse): string {
  const words = texts.evse.turn;
  if (evse.session === null) return words.free;
  if (evse.place === null && evse.reason_kind === "car_full") return words.carFull;
  if (evse.place === null || (evse.setpoint_a ?? 0) > 0) return words.hasIt;
  if (evse.next_turn_at === null) return `${words.place(evse.place)} ${words.noTime}`;
  const wait = duration(Date.parse(evse.next_turn_at) - now.value);
  return `${words.place(evse.place)} ${words.next(clockTime(evse.next_turn_at, building.zone), wait)}`;
}

function waitingAt(building: Building, feeder: string): Evse[] {
  return building.order.value
    .flatMap((id) => building.evse(id)?.value ?? [])
    .filter((one) => one.place !== null && one.reason_feeder === feeder && one.setpoint_a === 0)
    .sort((one, other) => (one.place ?? 0) - (other.place ?? 0));
}
