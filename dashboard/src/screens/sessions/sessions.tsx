/** Who charged where, when and how much; sorted and filtered by the service, and as a table for a spreadsheet. */
import { useEffect, useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { usePaged } from "../../components/asked";
import { Icon } from "../../components/icon";
import { Button, Card, Chip, Empty, Field, Head, Loading, Problem } from "../../components/parts";
import { type Column, Table } from "../../components/table";
import { kwh, NONE } from "../../format";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { clockTime, duration, now } from "../../time";
import { instantOf } from "../../zoned";
import type { ScreenProps } from "../index";
import "./sessions.css";

type Session = Schemas["SessionDocument"];
type Order = "newest" | "oldest" | "most_energy" | "least_energy";

const DAY_MS = 86_400_000;

export default function Sessions({ building, query }: ScreenProps) {
  const [evse, setEvse] = useState(query.get("evse") ?? "");
  const [running, setRunning] = useState(false);
  const [since, setSince] = useState("");
  const [until, setUntil] = useState("");
  const [order, setOrder] = useState<Order>("newest");
  const asked = {
    order,
    ...(evse === "" ? {} : { evse }),
    ...(running ? { running } : {}),
    ...between(since, until, building.zone),
  };
  const inputs = [building.id, JSON.stringify(asked)];
  const found = usePaged(
    (cursor) =>
      told(
        api.GET("/api/v1/sites/{site}/sessions", {
          params: { path: { site: building.id }, query: { ...asked, cursor, limit: 50 } },
        }),
      ),
    inputs,
  );
  useEffect(
    () =>
      building.listen((notice) => {
        if (notice.name === "session") found.again();
      }),
    [building, found.again],
  );
  const csv = new URLSearchParams(Object.entries(asked).map(([name, value]) => [name, String(value)]));
  return (
    <>
      <Head
        title={texts.nav.sessions}
        actions={
          <a class="button button-plain" href={`/api/v1/sites/${encodeURIComponent(building.id)}/sessions.csv?${csv.toString()}`} download>
            <Icon name="download" size={18} />
            {texts.sessions.csv}
          </a>
        }
      />
      <div class="stack">
        <form class="filters" aria-label={texts.sessions.filters} onSubmit={(event) => { event.preventDefault(); }}>
          <Field label={texts.sessions.evse}>
            {(named) => (
              <select {...named} value={evse} onChange={(event) => { setEvse(event.currentTarget.value); }}>
                <option value="">{texts.sessions.everyEvse}</option>
                {building.order.value.map((id) => (
                  <option key={id} value={id}>
                    {id}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={texts.sessions.since}>
            {(named) => (
              <input {...named} type="date" value={since} onInput={(event) => { setSince(event.currentTarget.value); }} />
            )}
          </Field>
          <Field label={texts.sessions.until}>
            {(named) => (
              <input {...named} type="date" value={until} onInput={(event) => { setUntil(event.currentTarget.value); }} />
            )}
          </Field>
          <label class="tick">
            <input type="checkbox" checked={running} onChange={(event) => { setRunning(event.currentTarget.checked); }} />
            {texts.sessions.running}
          </label>
        </form>
        <Card>
          {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
          {found.items.length > 0 && (
            <Table
              caption={texts.sessions.caption}
              columns={columns(building.id, building.zone, order, setOrder)}
              rows={found.items}
              id={(row) => row.id}
            />
          )}
          {found.items.length === 0 && found.problem === undefined && (found.busy ? <Loading /> : <Empty>{texts.sessions.empty}</Empty>)}
          {found.more !== null && (
            <Button onClick={found.more} disabled={found.busy}>
              {texts.common.more}
            </Button>
          )}
        </Card>
      </div>
    </>
  );
}

/** Whole days of the site's zone; the last one is included. */
function between(since: string, until: string, zone: string): { since?: string; until?: string } {
  const first = instantOf(`${since}T00:00`, zone);
  const last = until === "" ? null : new Date(Date.parse(`${until}T00:00Z`) + DAY_MS).toISOString().slice(0, 16);
  const end = last === null ? null : instantOf(last, zone);
  return { ...(first === null ? {} : { since: first }), ...(end === null ? {} : { until: end }) };
}

function columns(site: string, zone: string, order: Order, setOrder: (order: Order) => void): Column<Session>[] {
  const t = texts.sessions;
  return [
    { name: t.evse, cell: (row) => <a href={hrefTo(site, "/evses/:evse", { evse: row.evse })}>{row.evse}</a> },
    {
      name: t.started,
      cell: (row) => <time dateTime={row.started_at}>{clockTime(row.started_at, zone)}</time>,
      sorted: order === "newest" ? "descending" : order === "oldest" ? "ascending" : "none",
      sort: () => { setOrder(order === "newest" ? "oldest" : "newest"); },
    },
    {
      name: t.ended,
      cell: (row) =>
        row.ended_at === null ? (
          <Chip tone="good" icon="bolt">
            {t.now}
          </Chip>
        ) : (
          <time dateTime={row.ended_at}>{clockTime(row.ended_at, zone)}</time>
        ),
    },
    {
      name: t.duration,
      number: true,
      cell: (row) => duration((row.ended_at === null ? now.value : Date.parse(row.ended_at)) - Date.parse(row.started_at)),
    },
    {
      name: t.energy,
      number: true,
      cell: (row) => kwh(row.energy_kwh),
      sorted: order === "most_energy" ? "descending" : order === "least_energy" ? "ascending" : "none",
      sort: () => { setOrder(order === "most_energy" ? "least_energy" : "most_energy"); },
    },
    { name: t.wanted, number: true, cell: (row) => kwh(row.energy_wanted_kwh) },
    {
      name: t.departure,
      cell: ({ departure_at: leaves }) => (leaves ? <time dateTime={leaves}>{clockTime(leaves, zone)}</time> : NONE),
    },
  ];
}
