/** The driver's view: one EVSE on a phone, by the link at the charging point. No account. */
import { useEffect, useState } from "preact/hooks";
import { api, ApiProblem, type Schemas, told } from "../../api/client";
import { Icon } from "../../components/icon";
import { Card, Problem, Stat, Stats } from "../../components/parts";
import { amps, kwh, NONE } from "../../format";
import { texts } from "../../texts";
import { clockTime, duration } from "../../time";
import "./driver.css";
import { headlineOf } from "./headline";
import { Wishes } from "./wishes";

export type Seen = Schemas["DriverDocument"];
const EVERY_MS = 4000;

export function DriverView({ link }: { link: string }) {
  const [seen, setSeen] = useState<Seen | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    let over = false;
    const look = async () => {
      if (document.hidden) return;
      try {
        const found = await told(api.GET("/api/v1/driver/{link}", { params: { path: { link } } }));
        if (over) return;
        setSeen(found);
        setProblem(null);
        document.title = `${texts.driver.title(found.evse)} · ${texts.common.product}`;
      } catch (error) {
        if (!over) setProblem(error);
      }
    };
    void look();
    const timer = setInterval(() => void look(), EVERY_MS);
    return () => {
      over = true;
      clearInterval(timer);
    };
  }, [link]);
  if (problem instanceof ApiProblem && problem.status === 404) return <Gone />;
  if (seen === null)
    return <main class="alone driver">{problem === null ? texts.common.loading : <Problem problem={problem} />}</main>;
  return (
    <main class="alone driver">
      <header class="driver-head">
        <img src="/favicon.svg" alt="" width="28" height="28" />
        <h1>{texts.driver.title(seen.evse)}</h1>
      </header>
      {problem !== null && (
        <p class="note tone-warn" role="status">
          {texts.driver.stale}
        </p>
      )}
      <Now seen={seen} />
      {seen.session !== null && <Wishes key={seen.session} link={link} seen={seen} changed={setSeen} />}
    </main>
  );
}

function Now({ seen }: { seen: Seen }) {
  const words = texts.driver;
  const { headline, hint, tone, icon } = headlineOf(seen);
  const zone = seen.timezone;
  const today = Date.parse(seen.at);
  const time = (at: string) => clockTime(at, zone, today);
  return (
    <Card class="driver-now">
      <p class={`driver-state tone-${tone}`} role="status">
        <Icon name={icon} size={28} />
        <span>{headline}</span>
      </p>
      {hint !== null && <p class="driver-hint">{hint}</p>}
      {seen.session !== null && (
        <>
          <Coming seen={seen} time={time} />
          {seen.energy_wanted_kwh !== null && seen.energy_kwh !== null && (
            <progress
              max={seen.energy_wanted_kwh}
              value={Math.min(seen.energy_kwh, seen.energy_wanted_kwh)}
              aria-label={words.progress(kwh(seen.energy_kwh), kwh(seen.energy_wanted_kwh))}
            />
          )}
          <Stats>
            <Stat
              name={words.now}
              value={seen.power_kw === null ? amps(seen.measured_a) : `${seen.power_kw.toFixed(1)} kW`}
              note={seen.setpoint_a === null ? "" : words.allowed(amps(seen.setpoint_a))}
            />
            <Stat
              name={words.charged}
              value={kwh(seen.energy_kwh)}
              note={seen.energy_wanted_kwh === null ? "" : words.chargedOf(kwh(seen.energy_wanted_kwh))}
            />
            <Stat name={words.since} value={seen.started_at === null ? NONE : time(seen.started_at)} />
            <Stat name={words.leaves} value={seen.departure_at === null ? words.notSaid : time(seen.departure_at)} />
          </Stats>
          {seen.reason !== null && (
            <p class="driver-why">
              <strong>{words.why}:</strong> {withoutName(seen.reason, seen.evse)}
            </p>
          )}
        </>
      )}
    </Card>
  );
}

function Coming({ seen, time }: { seen: Seen; time: (at: string) => string }) {
  const words = texts.driver;
  const wait = (at: string) => duration(Date.parse(at) - Date.parse(seen.at));
  if (seen.done_at !== null) {
    const done = Date.parse(seen.done_at) <= Date.parse(seen.at);
    if (done) return <p class="driver-coming">{words.done}</p>;
    return (
      <p class="driver-coming">
        {words.doneAt} <strong>{time(seen.done_at)}</strong> <small>{words.doneIn(wait(seen.done_at))}</small>
      </p>
    );
  }
  if (seen.place === null || (seen.setpoint_a ?? 0) > 0) return null;
  if (seen.next_turn_at === null) return <p class="driver-coming">{words.place(seen.place)}</p>;
  return (
    <p class="driver-coming">
      {words.turnAt} <strong>{time(seen.next_turn_at)}</strong> <small>{words.turnIn(wait(seen.next_turn_at))}</small>
    </p>
  );
}

function withoutName(reason: string, evse: string): string {
  return reason.startsWith(`${evse}: `) ? reason.slice(evse.length + 2) : reason;
}

function Gone() {
  return (
    <main class="alone driver">
      <Card>
        <h1>{texts.driver.gone}</h1>
        <p class="driver-hint">{texts.driver.goneHint}</p>
      </Card>
    </main>
  );
}
