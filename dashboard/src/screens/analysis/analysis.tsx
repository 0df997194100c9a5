/** Month by month: how much, how fair, how full; and what phasors and turns add to the panel that is there. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Icon } from "../../components/icon";
import { Card, Empty, Field, Head, Loading, Problem, Stat, Stats } from "../../components/parts";
import { Table } from "../../components/table";
import { kwh, percent } from "../../format";
import { texts } from "../../texts";
import type { ScreenProps } from "../index";
import { Bars } from "./bars";
import "./analysis.css";

type Month = Schemas["MonthDocument"];

const t = texts.analysis;
const COUNTS = [3, 6, 12, 24];

export default function Analysis({ building }: ScreenProps) {
  const [months, setMonths] = useState(6);
  const found = useAsked(
    () => told(api.GET("/api/v1/sites/{site}/analysis", { params: { path: { site: building.id }, query: { months } } })),
    [building.id, months],
  );
  const shown = found.data?.months ?? [];
  const present = shown.at(-1);
  return (
    <>
      <Head
        title={texts.nav.analysis}
        actions={
          <a
            class="button button-plain"
            href={`/api/v1/sites/${encodeURIComponent(building.id)}/analysis.csv?months=${months}`}
            download
          >
            <Icon name="download" size={18} />
            {t.csv}
          </a>
        }
      />
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.data === undefined && found.problem === undefined && <Loading />}
      <div class="stack">
        {present !== undefined && (present.seen_h > 0 || present.sessions > 0 ? <Present month={present} /> : <Empty>{t.empty}</Empty>)}
        {found.data !== undefined && (
          <Card title={t.capacity}>
            <h3>{t.capacityNow}</h3>
            <Capacity capacity={found.data.capacity_now} />
            <h3 class="use-title">{t.capacityDesign}</h3>
            <Capacity capacity={found.data.capacity} />
          </Card>
        )}
        {shown.length > 0 && (
          <Card
            title={t.perMonth}
            actions={
              <Field label={t.months}>
                {(named) => (
                  <select {...named} value={months} onChange={(event) => { setMonths(Number(event.currentTarget.value)); }}>
                    {COUNTS.map((count) => (
                      <option key={count} value={count}>
                        {t.monthCount(count)}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
            }
          >
            <Charts months={shown} />
            <MonthTable months={shown} />
          </Card>
        )}
      </div>
    </>
  );
}

function Present({ month }: { month: Month }) {
  return (
    <Card title={t.present(month.month)}>
      <Stats>
        <Stat name={t.sessions} value={month.sessions} />
        <Stat name={t.energy} value={kwh(month.energy_kwh)} />
        <Stat name={t.curtailed} value={kwh(month.curtailed_kwh)} note={t.curtailedNote} />
        <Stat name={t.jain} value={month.jain_index.toFixed(3)} note={t.jainNote} />
        <Stat name={t.waited} value={month.waited} />
        <Stat name={t.longestWait} value={t.minutes(month.longest_wait_min)} />
      </Stats>
      <h3 class="use-title">{t.use}</h3>
      <p class="soft">{t.seenHours(t.hours(month.seen_h))}</p>
      <Table
        caption={t.use}
        rows={month.feeders}
        id={(one) => one.feeder}
        columns={[
          { name: t.feeder, cell: (one) => one.feeder },
          { name: t.mean, number: true, cell: (one) => percent(one.mean_frac) },
          { name: t.peak, number: true, cell: (one) => percent(one.peak_frac) },
        ]}
      />
    </Card>
  );
}

function Capacity({ capacity }: { capacity: Schemas["CapacityDocument"] }) {
  const { arithmetic_kw, phasor_kw, phasor_gain_frac, at_once, evses, rotation_gain_frac } = capacity;
  const turns = at_once === 0 ? t.rotationNone(evses) : at_once >= evses ? t.rotationAll(evses) : t.rotationNote(at_once, evses);
  return (
    <Stats>
      <Stat
        name={t.phasor}
        value={phasor_gain_frac > 0 ? t.more(percent(phasor_gain_frac)) : t.none}
        note={t.phasorNote(t.kw(arithmetic_kw), t.kw(phasor_kw))}
      />
      <Stat name={t.rotation} value={rotation_gain_frac > 0 ? t.more(percent(rotation_gain_frac)) : t.none} note={turns} />
    </Stats>
  );
}

function Charts({ months }: { months: readonly Month[] }) {
  const of = (value: (month: Month) => number) => months.map((month) => ({ name: month.month, value: value(month) }));
  const peak = (month: Month) => Math.max(0, ...month.feeders.map((one) => one.peak_frac));
  return (
    <div class="charts">
      <Bars title={t.chartEnergy} bars={of((month) => month.energy_kwh)} text={kwh} colour="ev" />
      <Bars title={t.chartCurtailed} bars={of((month) => month.curtailed_kwh)} text={kwh} colour="held" />
      <Bars title={t.chartJain} bars={of((month) => (month.sessions > 0 ? month.jain_index : 0))} text={(value) => value.toFixed(2)} colour="fair" most={1} />
      <Bars title={t.chartWait} bars={of((month) => month.longest_wait_min)} text={t.minutes} colour="held" />
      <Bars title={t.chartPeak} bars={of(peak)} text={percent} colour="ev" most={1} />
    </div>
  );
}

function MonthTable({ months }: { months: readonly Month[] }) {
  return (
    <Table
      caption={t.perMonth}
      rows={months.slice().reverse()}
      id={(month) => month.month}
      columns={[
        { name: t.month, cell: (month) => month.month },
        { name: t.sessions, number: true, cell: (month) => month.sessions },
        { name: t.energy, number: true, cell: (month) => kwh(month.energy_kwh) },
        { name: t.curtailed, number: true, cell: (month) => kwh(month.curtailed_kwh) },
        { name: t.jain, number: true, cell: (month) => (month.sessions > 0 ? month.jain_index.toFixed(3) : texts.common.none) },
        { name: t.waited, number: true, cell: (month) => month.waited },
        { name: t.meanWait, number: true, cell: (month) => t.minutes(month.mean_wait_min) },
        { name: t.longestWait, number: true, cell: (month) => t.minutes(month.longest_wait_min) },
        { name: t.seen, number: true, cell: (month) => t.hours(month.seen_h) },
      ]}
    />
  );
}
