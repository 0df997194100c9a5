/** What the EVSE drew beside what it was allowed: from its history, and on with what comes. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Chart, type Line } from "../../components/chart";
import { Choice } from "../../components/choice";
import { Card, Problem } from "../../components/parts";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { now, serviceNow } from "../../time";
import { aligned, type Point, withPoint } from "./series";

const HOURS = { h1: 1, h6: 6, h24: 24 } as const;
type Range = keyof typeof HOURS;
const MOST_PAGES = 12;

const LINES: readonly Line[] = [
  { label: texts.evse.chart.current, colour: "--ev-load", fill: true },
  { label: texts.evse.chart.limit, colour: "--setpoint", steps: true, dash: [6, 4] },
];

export function CurrentChart({ building, id, maxA }: { building: Building; id: string; maxA: number }) {
  const words = texts.evse.chart;
  const [range, setRange] = useState<Range>("h1");
  const seconds = HOURS[range] * 3600;
  const history = useAsked(() => load(id, serviceNow() / 1000 - seconds), [id, range]);
  const [currents, setCurrents] = useState<readonly Point[]>([]);
  const [limits, setLimits] = useState<readonly Point[]>([]);
  useEffect(() => {
    setCurrents(history.data?.currents ?? []);
    setLimits(history.data?.limits ?? []);
  }, [history.data]);
  useEffect(
    () =>
      building.listen((notice) => {
        if (notice.name !== "evse" || notice.data.id !== id) return;
        const from = serviceNow() / 1000 - seconds;
        const { measured_at, measured_a, in_force_a } = notice.data;
        if (measured_at !== null && measured_a !== null) {
          const point = { at: Date.parse(measured_at) / 1000, amps: measured_a };
          setCurrents((before) => withPoint(before, point, from));
        }
        setLimits((before) =>
          before[before.length - 1]?.amps === in_force_a
            ? before
            : withPoint(before, { at: serviceNow() / 1000, amps: in_force_a }, from),
        );
      }),
    [building, id, seconds],
  );
  const to = Math.ceil(now.value / 5000) * 5;
  const data = useMemo(() => aligned(currents, limits, to - seconds, to), [currents, limits, to, seconds]);
  return (
    <Card
      title={words.title}
      actions={<Choice label={words.range} value={range} options={words.ranges} choose={setRange} />}
    >
      {history.problem !== undefined && <Problem problem={history.problem} retry={history.again} />}
      <Chart
        data={data}
        lines={LINES}
        zone={building.zone}
        label={words.label(id)}
        from={to - seconds}
        to={to}
        atLeast={Math.max(8, maxA)}
      />
      {!history.busy && currents.length === 0 && <p class="empty">{words.nothing}</p>}
    </Card>
  );
}

interface Told<T> {
  items: T[];
  next: string | null;
}

/** The pages of a list that is told newest first, down to an instant; one item beyond it, which held when it began. */
async function since<T>(page: (cursor: string | undefined) => Promise<Told<T>>, at: (item: T) => number, from: number) {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let turn = 0; turn < MOST_PAGES; turn++) {
    const found = await page(cursor);
    items.push(...found.items);
    const oldest = items[items.length - 1];
    if (found.next === null || (oldest !== undefined && at(oldest) <= from)) break;
    cursor = found.next;
  }
  return items.reverse();
}

async function load(evse: string, from: number): Promise<{ currents: Point[]; limits: Point[] }> {
  const path = { evse };
  const seconds = (item: { at: string }) => Date.parse(item.at) / 1000;
  const [samples, setpoints] = await Promise.all([
    since(
      (cursor) => told(api.GET("/api/v1/evses/{evse}/samples", { params: { path, query: { limit: 500, cursor } } })),
      seconds,
      from,
    ),
    since(
      (cursor) => told(api.GET("/api/v1/evses/{evse}/setpoints", { params: { path, query: { limit: 500, cursor } } })),
      seconds,
      from,
    ),
  ]);
  return {
    currents: samples.filter((one) => one.current_a !== null).map((one) => ({ at: seconds(one), amps: one.current_a })),
    limits: setpoints.filter((one) => one.step === "sent").map((one) => ({ at: seconds(one), amps: one.limit_a })),
  };
}
