/** The car's stay, and what its driver wishes. */
import { useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { may } from "../../api/session";
import { NumberInput, TimeInput } from "../../components/inputs";
import { Button, Card, Empty, Problem } from "../../components/parts";
import { kwh, NONE, numberOrNull } from "../../format";
import type { Building, Evse } from "../../live/building";
import { texts } from "../../texts";
import { clockTime, duration, now } from "../../time";
import { fieldOf, instantOf } from "../../zoned";

type Session = NonNullable<Evse["session"]>;

export function SessionCard({ building, evse }: { building: Building; evse: Evse }) {
  const words = texts.evse.session;
  const [editing, setEditing] = useState(false);
  const session = evse.session;
  if (session === null)
    return (
      <Card title={words.title}>
        <Empty>{words.none}</Empty>
      </Card>
    );
  return (
    <Card title={words.title}>
      <dl class="facts">
        <dt>{words.since}</dt>
        <dd>
          {clockTime(session.started_at, building.zone)} ({duration(now.value - Date.parse(session.started_at))})
        </dd>
        <dt>{words.energy}</dt>
        <dd>{kwh(session.energy_kwh)}</dd>
        <dt>{words.wanted}</dt>
        <dd>{kwh(session.energy_wanted_kwh)}</dd>
        <dt>{words.departure}</dt>
        <dd>{session.departure_at == null ? NONE : clockTime(session.departure_at, building.zone)}</dd>
        <dt>{words.priority}</dt>
        <dd>{session.priority ?? NONE}</dd>
      </dl>
      {may("wish") &&
        (editing ? (
          <Wishes
            building={building}
            session={session}
            done={() => {
              setEditing(false);
            }}
          />
        ) : (
          <p class="card-foot">
            <Button
              onClick={() => {
                setEditing(true);
              }}
            >
              {words.edit}
            </Button>
          </p>
        ))}
    </Card>
  );
}

function Wishes({ building, session, done }: { building: Building; session: Session; done: () => void }) {
  const words = texts.evse.session;
  const zone = building.zone;
  const [leaves, setLeaves] = useState(session.departure_at == null ? "" : fieldOf(Date.parse(session.departure_at), zone));
  const [wanted, setWanted] = useState(String(session.energy_wanted_kwh ?? ""));
  const [priority, setPriority] = useState(String(session.priority ?? ""));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const kWh = numberOrNull(wanted);
  const weight = numberOrNull(priority);
  const save = async (event: Event) => {
    event.preventDefault();
    if (kWh === undefined || weight === undefined) return;
    setBusy(true);
    try {
      await told(
        api.PATCH("/api/v1/sites/{site}/sessions/{session}", {
          params: { path: { site: building.id, session: session.id } },
          body: { departure_at: instantOf(leaves, zone), energy_wanted_kwh: kWh, priority: weight },
        }),
      );
      done();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  return (
    <form class="stack wishes" onSubmit={(event) => void save(event)}>
      <TimeInput
        label={words.departureLabel}
        hint={words.departureHint}
        value={leaves}
        min={fieldOf(now.value, zone)}
        typed={setLeaves}
      />
      <NumberInput
        label={words.wantedLabel}
        hint={words.wantedHint}
        value={wanted}
        error={kWh === undefined ? words.notANumber : undefined}
        typed={setWanted}
      />
      <NumberInput
        label={words.priorityLabel}
        hint={words.priorityHint}
        value={priority}
        error={weight === undefined ? words.notANumber : undefined}
        typed={setPriority}
      />
      {problem !== null && <Problem problem={problem} />}
      <p class="actions">
        <Button type="submit" look="main" disabled={busy}>
          {words.save}
        </Button>
        <Button onClick={done}>{texts.common.cancel}</Button>
      </p>
    </form>
  );
}
