/** What is out of order, what it means and what to do about it; and what was. */
import { api, type Schemas, told } from "../../api/client";
import { may } from "../../api/session";
import { useAsked, usePaged } from "../../components/asked";
import { Icon } from "../../components/icon";
import { Button, Card, Chip, Empty, Head, Loading, Problem } from "../../components/parts";
import type { Building } from "../../live/building";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { clockTime, duration, now } from "../../time";
import type { ScreenProps } from "../index";
import "./alerts.css";

type Alarm = Schemas["AlarmDocument"];

export default function Alerts({ building }: ScreenProps) {
  const standing = building.alarms.value;
  return (
    <>
      <Head title={texts.nav.alerts} />
      <div class="stack">
        <Card title={texts.alerts.standing}>
          {standing.length === 0 ? (
            <p class="all-well">
              <Icon name="check" />
              {texts.alerts.none}
            </p>
          ) : (
            <ul class="alarms">
              {standing.map((alarm) => (
                <Standing key={`${alarm.kind} ${alarm.subject} ${alarm.raised_at}`} building={building} alarm={alarm} />
              ))}
            </ul>
          )}
        </Card>
        {may("operate") && <Outages building={building} />}
        <Past building={building} />
      </div>
    </>
  );
}

function Standing({ building, alarm }: { building: Building; alarm: Alarm }) {
  const lasts = duration(now.value - Date.parse(alarm.raised_at));
  return (
    <li class="alarm">
      <div class="alarm-head">
        <h3>{texts.alerts.kinds[alarm.kind] ?? alarm.kind}</h3>
        <Chip tone="warn" icon="clock">
          {texts.alerts.since(lasts)}
        </Chip>
        <Subject building={building} subject={alarm.subject} />
      </div>
      <p>{alarm.text}</p>
      <dl class="alarm-advice">
        <div>
          <dt>{texts.alerts.means}</dt>
          <dd>{alarm.meaning}</dd>
        </div>
        <div>
          <dt>{texts.alerts.advice}</dt>
          <dd>
            <strong>{alarm.advice}</strong>
          </dd>
        </div>
      </dl>
    </li>
  );
}

function Subject({ building, subject }: { building: Building; subject: string }) {
  const known = building.order.value.includes(subject);
  return known ? <a href={hrefTo(building.id, "/evses/:evse", { evse: subject })}>{subject}</a> : <span>{subject}</span>;
}

function Past({ building }: { building: Building }) {
  const standing = building.alarms.value.length;
  const found = usePaged(
    (cursor) =>
      told(
        api.GET("/api/v1/sites/{site}/alarms", { params: { path: { site: building.id }, query: { cursor, limit: 50 } } }),
      ),
    [building.id, standing],
  );
  const past = found.items.filter((alarm) => alarm.cleared_at !== null);
  return (
    <Card title={texts.alerts.past}>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {past.length === 0 && found.problem === undefined && (found.busy ? <Loading /> : <Empty>{texts.alerts.nonePast}</Empty>)}
      <ul class="alarms">
        {past.map((alarm) => (
          <li key={`${alarm.kind} ${alarm.subject} ${alarm.raised_at}`}>
            <details>
              <summary>
                {texts.alerts.kinds[alarm.kind] ?? alarm.kind}: {alarm.subject}
                <span class="soft"> · {lasted(alarm, building.zone)}</span>
              </summary>
              <p>{alarm.text}</p>
              <p class="soft">{alarm.advice}</p>
            </details>
          </li>
        ))}
      </ul>
      {found.more !== null && (
        <Button onClick={found.more} disabled={found.busy}>
          {texts.common.more}
        </Button>
      )}
    </Card>
  );
}

function lasted(alarm: Alarm, zone: string): string {
  const ended = alarm.cleared_at === null ? now.value : Date.parse(alarm.cleared_at);
  return texts.alerts.lasted(clockTime(alarm.raised_at, zone), duration(ended - Date.parse(alarm.raised_at)));
}

function Outages({ building }: { building: Building }) {
  const found = useAsked(
    () => told(api.GET("/api/v1/sites/{site}/outages", { params: { path: { site: building.id } } })),
    [building.id, building.alarms.value.length],
  );
  const left = found.data;
  const waiting = Object.entries(left?.waiting ?? {});
  const nothing = left !== undefined && left.starts_in_doubt.length + left.set_aside.length + waiting.length === 0;
  return (
    <Card title={texts.alerts.outages}>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {left === undefined && found.problem === undefined && <Loading />}
      {nothing && <p class="soft">{texts.alerts.outagesNone}</p>}
      <ul class="alarms">
        {left?.starts_in_doubt.map((one) => (
          <li key={`${one.charger} ${one.noted_at}`}>
            <h3>{texts.alerts.doubt(one.charger, String(one.connector ?? texts.common.none))}</h3>
            <p>{texts.alerts.doubtText(one.id_tag ?? texts.common.none, one.started_at ?? texts.common.none, one.sends)}</p>
          </li>
        ))}
        {waiting.map(([charger, count]) => (
          <li key={charger}>{texts.alerts.waiting(charger, count)}</li>
        ))}
        {left?.set_aside.map((one) => (
          <li key={`${one.charger} ${one.at} ${one.action}`}>{texts.alerts.aside(one.charger, one.action)}</li>
        ))}
      </ul>
    </Card>
  );
}
