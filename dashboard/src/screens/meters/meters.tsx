/** The building's meters: what each told last, how old that is, and what it told before. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Chart, type Line } from "../../components/chart";
import { useEvery } from "../../components/every";
import { Card, Chip, Empty, Head, Loading, Problem, Stat, Stats } from "../../components/parts";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { duration, now } from "../../time";
import type { ScreenProps } from "../index";

type Meter = Schemas["MeterDocument"];
type Phase = "A" | "B" | "C";

const PHASES: readonly Phase[] = ["A", "B", "C"];
const LINES: readonly Line[] = [
  { label: texts.meters.phase("A"), colour: "--setpoint" },
  { label: texts.meters.phase("B"), colour: "--ev-load" },
  { label: texts.meters.phase("C"), colour: "--limit" },
];

export default function Meters({ building }: ScreenProps) {
  const found = useAsked(
    () => told(api.GET("/api/v1/sites/{site}/meters", { params: { path: { site: building.id }, query: { limit: 500 } } })),
    [building.id],
  );
  useEvery(3000, found.again);
  const meters = found.data?.items ?? [];
  return (
    <>
      <Head title={texts.nav.meters} />
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.data === undefined && found.problem === undefined && <Loading />}
      {found.data !== undefined && meters.length === 0 && <Empty>{texts.meters.empty}</Empty>}
      <div class="grid">
        {meters.map((meter) => (
          <MeterCard key={meter.id} building={building} meter={meter} />
        ))}
      </div>
    </>
  );
}

function MeterCard({ building, meter }: { building: Building; meter: Meter }) {
  const [open, setOpen] = useState(false);
  const age = meter.reading === null ? null : Math.max(0, now.value - Date.parse(meter.reading.at));
  return (
    <Card title={meter.id} actions={<Freshness meter={meter} />}>
      <p class="soft">
        {texts.meters.feeder}{" "}
        {meter.feeder === null ? texts.common.none : <a href={hrefTo(building.id, "/timeline", {}, { feeder: meter.feeder })}>{meter.feeder}</a>}
        {age !== null && ` · ${texts.meters.ago(duration(age))}`}
      </p>
      {meter.reading === null ? (
        <Empty>{texts.meters.noReadings}</Empty>
      ) : (
        <Stats>
          {PHASES.filter((phase) => meter.reading?.current_a[phase] !== undefined).map((phase) => (
            <Stat key={phase} name={texts.meters.phase(phase)} value={amps(meter.reading?.current_a[phase])} />
          ))}
        </Stats>
      )}
      <p class="soft">{texts.meters.after(duration(meter.stale_after_s * 1000))}</p>
      <details
        onToggle={(event) => {
          setOpen(event.currentTarget.open);
        }}
      >
        <summary>{texts.meters.show(meter.id)}</summary>
        {open && <Readings building={building} meter={meter.id} />}
      </details>
    </Card>
  );
}

function Freshness({ meter }: { meter: Meter }) {
  if (meter.reading === null)
    return (
      <Chip tone="bad" icon="question">
        {texts.meters.never}
      </Chip>
    );
  return meter.stale ? (
    <Chip tone="bad" icon="alerts">
      {texts.meters.stale}
    </Chip>
  ) : (
    <Chip tone="good" icon="check">
      {texts.meters.fresh}
    </Chip>
  );
}

function Readings({ building, meter }: { building: Building; meter: string }) {
  const found = useAsked(
    () => told(api.GET("/api/v1/meters/{meter}/readings", { params: { path: { meter }, query: { limit: 500 } } })),
    [meter],
  );
  useEvery(5000, found.again);
  if (found.problem !== undefined) return <Problem problem={found.problem} retry={found.again} />;
  if (found.data === undefined) return <Loading />;
  const readings = found.data.items.slice().reverse();
  if (readings.length === 0) return <Empty>{texts.meters.noReadings}</Empty>;
  const at = readings.map((one) => Date.parse(one.at) / 1000);
  const rows = PHASES.map((phase) => readings.map((one) => one.current_a[phase] ?? null));
  return <Chart data={[at, ...rows]} lines={LINES} zone={building.zone} label={texts.meters.chart(meter)} height={200} />;
}
