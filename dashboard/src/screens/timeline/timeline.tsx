/** A panel's load over time, and every decision behind it: drag back to one, see what it saw and what else might have been. */
import { useMemo, useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { useEvery } from "../../components/every";
import { Button, Card, Chip, Empty, Field, Head, Loading, Problem } from "../../components/parts";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { serviceNow } from "../../time";
import type { ScreenProps } from "../index";
import { DecisionPanel } from "./decision";
import { LoadChart } from "./load-chart";
import { Scrubber } from "./scrubber";
import type { Phase } from "./stack";
import "./timeline.css";

const t = texts.timeline;
const HOUR_MS = 3_600_000;
/** How much of the future is shown beside each span. */
export const AHEAD = 0.35;

export default function Timeline({ building, query }: ScreenProps) {
  const feeders = building.site.value?.feeders ?? [];
  const [feeder, setFeeder] = useState(query.get("feeder") ?? "");
  const [wantedPhase, setPhase] = useState<Phase | null>(null);
  const [hours, setHours] = useState(6);
  /** Where the shown time ends; null: it follows the present. */
  const [end, setEnd] = useState<number | null>(() => instant(query.get("at")));
  /** The instant that is looked at; null: the newest decision. */
  const [at, setAt] = useState<number | null>(() => instant(query.get("at")));
  const place = feeders.find((one) => one.id === feeder) ?? feeders[0];
  const least = useFullest(place);
  const phases = Object.keys(place?.phases ?? {}) as Phase[];
  const phase = wantedPhase !== null && phases.includes(wantedPhase) ? wantedPhase : least;
  const found = useHistory(building, place?.id, hours, end);
  if (place === undefined) return building.problem.value === null ? <Loading /> : <Problem problem={building.problem.value} />;
  const move = (spans: number) => {
    const to = (end ?? serviceNow()) + spans * hours * HOUR_MS;
    setEnd(to >= serviceNow() ? null : to);
    setAt(null);
  };
  return (
    <>
      <Head title={texts.nav.timeline} note={end === null ? <Chip tone="good">{t.following}</Chip> : undefined} />
      <div class="stack">
        <form class="timeline-form" onSubmit={(event) => { event.preventDefault(); }}>
          <Field label={t.feeder}>
            {(named) => (
              <select {...named} value={place.id} onChange={(event) => { setFeeder(event.currentTarget.value); }}>
                {feeders.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.id}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t.phase}>
            {(named) => (
              <select {...named} value={phase} onChange={(event) => { setPhase(event.currentTarget.value as Phase); }}>
                {phases.map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <Field label={t.span}>
            {(named) => (
              <select {...named} value={hours} onChange={(event) => { setHours(Number(event.currentTarget.value)); setAt(null); }}>
                {Object.entries(t.spans).map(([one, name]) => (
                  <option key={one} value={one}>
                    {name}
                  </option>
                ))}
              </select>
            )}
          </Field>
          <div class="row">
            <Button icon="back" onClick={() => { move(-0.5); }}>{t.earlier}</Button>
            <Button disabled={end === null} onClick={() => { move(0.5); }}>{t.later}</Button>
            <Button disabled={end === null && at === null} onClick={() => { setEnd(null); setAt(null); }}>{t.now}</Button>
          </div>
        </form>
        <Card class="timeline">
          {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
          {found.data === undefined && found.problem === undefined && <Loading />}
          {found.data !== undefined && found.data.load.at.length === 0 && <Empty>{t.empty}</Empty>}
          {found.data !== undefined && found.data.load.at.length > 0 && (
            <>
              <LoadChart history={found.data} phase={phase} zone={building.zone} at={at} />
              <MarkLegend />
              <Scrubber history={found.data} zone={building.zone} at={at} look={setAt} />
            </>
          )}
        </Card>
        {found.data !== undefined && <DecisionPanel building={building} at={at} look={setAt} />}
      </div>
    </>
  );
}

function MarkLegend() {
  return (
    <p class="mark-legend soft">
      {t.marks}:
      <span class="mark mark-quiet" />
      {t.markQuiet}
      <span class="mark mark-prompted" />
      {t.markPrompted}
      <span class="mark mark-fell" />
      {t.markFell}
    </p>
  );
}

export type History = NonNullable<ReturnType<typeof useHistory>["data"]>;

/** Load, marks and forecast of a stretch of time; of the present one again and again. */
function useHistory(building: Building, feeder: string | undefined, hours: number, end: number | null) {
  const found = useAsked(async () => {
    if (feeder === undefined) return undefined;
    const until = end ?? serviceNow() + 60_000;
    const query = { since: iso(until - hours * HOUR_MS), until: iso(until), points: 300 };
    const path = { site: building.id };
    const [load, marks, forecast] = await Promise.all([
      told(api.GET("/api/v1/sites/{site}/load", { params: { path, query: { ...query, feeder } } })),
      told(api.GET("/api/v1/sites/{site}/decisions/marks", { params: { path, query } })),
      end === null ? told(api.GET("/api/v1/sites/{site}/forecast", { params: { path } })) : null,
    ]);
    return {
      load,
      marks,
      forecast: forecast?.feeders.find((one) => one.feeder === feeder) ?? null,
      /** As far as it is shown: some of the future too, where there is a present. */
      until: end === null ? until + hours * HOUR_MS * AHEAD : until,
    };
  }, [building.id, feeder, hours, end]);
  useEvery(4000, found.again, end === null);
  return found;
}

/** The phase with the least room when the panel was chosen: it does not change under the reader's eyes. */
function useFullest(place: { id: string; phases: Partial<Record<Phase, { headroom_a: number }>> } | undefined): Phase {
  const rows = Object.entries(place?.phases ?? {}) as [Phase, { headroom_a: number }][];
  return useMemo(() => rows.sort((one, other) => one[1].headroom_a - other[1].headroom_a)[0]?.[0] ?? "A", [place?.id]);
}

function instant(text: string | null): number | null {
  const found = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(found) ? null : found;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

