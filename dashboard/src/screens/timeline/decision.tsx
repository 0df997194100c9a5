/** One decision: what prompted it, what it gave to whom and why, what it looked at, and what else might have been. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { useEvery } from "../../components/every";
import { Button, Card, Chip, Empty, Loading, Problem, Stat, Stats } from "../../components/parts";
import { Table } from "../../components/table";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { fullTime } from "../../time";
import { Alternatives } from "./alternatives";
import { Inputs } from "./inputs";

type Decision = Schemas["DecisionDocument"];

const t = texts.timeline;

interface Props {
  building: Building;
  at: number | null;
  look: (at: number) => void;
}

export function DecisionPanel({ building, at, look }: Props) {
  const found = useAsked(async () => {
    const path = { site: building.id };
    const query = { limit: 1, ...(at === null ? {} : { until: new Date(at + 1).toISOString() }) };
    const { items } = await told(api.GET("/api/v1/sites/{site}/decisions", { params: { path, query } }));
    const newest = items[0];
    if (newest === undefined) return null;
    return told(
      api.GET("/api/v1/sites/{site}/decisions/{decision}", { params: { path: { ...path, decision: newest.id } } }),
    );
  }, [building.id, at]);
  const beside = useSteps(building, found.data ?? null, look);
  useEvery(4000, found.again, at === null);
  const decision = found.data;
  return (
    <Card
      title={t.decision}
      actions={
        <span class="row">
          <Button icon="back" disabled={decision === null || decision === undefined} onClick={beside.before}>
            {t.before}
          </Button>
          <Button disabled={at === null} onClick={beside.after}>
            {t.after}
          </Button>
        </span>
      }
    >
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {beside.problem !== undefined && <Problem problem={beside.problem} />}
      {decision === undefined && found.problem === undefined && <Loading />}
      {decision === null && <Empty>{t.empty}</Empty>}
      {decision !== null && decision !== undefined && <Whole building={building} decision={decision} still={at !== null} />}
    </Card>
  );
}

/** To the decision before this one, and to the one after it. */
function useSteps(building: Building, decision: Decision | null, look: (at: number) => void) {
  const [problem, setProblem] = useState<unknown>(undefined);
  const ask = async (forward: boolean) => {
    if (decision === null) return;
    const path = { site: building.id };
    const here = Date.parse(decision.at);
    const query = forward
      ? { since: new Date(here + 1).toISOString(), until: new Date(here + 3_600_000).toISOString(), limit: 500 }
      : { until: decision.at, limit: 1 };
    const { items } = await told(api.GET("/api/v1/sites/{site}/decisions", { params: { path, query } }));
    const next = forward ? items.at(-1) : items[0];
    if (next !== undefined) look(Date.parse(next.at));
  };
  const step = (forward: boolean) => () => {
    setProblem(undefined);
    ask(forward).catch((error: unknown) => {
      setProblem(error);
    });
  };
  return { before: step(false), after: step(true), problem };
}

function Whole({ building, decision, still }: { building: Building; decision: Decision; still: boolean }) {
  const busy = decision.setpoints.filter((point) => point.reason_kind !== "no_session");
  return (
    <div class="decision">
      <Stats>
        <Stat name={t.at} value={<time dateTime={decision.at}>{fullTime(decision.at, building.zone)}</time>} />
        <Stat
          name={t.rung}
          value={t.rungs[decision.rung] ?? decision.rung}
          note={decision.rung_why === "" ? (t.strategies[decision.strategy] ?? decision.strategy) : decision.rung_why}
        />
        <Stat name={t.took} value={decision.elapsed_ms === null ? texts.common.none : t.milliseconds(decision.elapsed_ms)} />
      </Stats>
      <p>
        <span class="soft">{t.trigger}</span> {decision.trigger}
      </p>
      {decision.alarms.map((text) => (
        <Chip key={text} tone="warn" icon="alerts">
          {text}
        </Chip>
      ))}
      <section>
        <h3>{t.setpoints}</h3>
        {busy.length === 0 ? (
          <p class="soft">{t.nobody}</p>
        ) : (
          <Table
            caption={t.setpoints}
            rows={busy}
            id={(point) => point.evse}
            columns={[
              { name: t.evse, cell: (point) => <a href={hrefTo(building.id, "/evses/:evse", { evse: point.evse })}>{point.evse}</a> },
              { name: t.given, number: true, cell: (point) => amps(point.limit_a) },
              { name: t.target, number: true, cell: (point) => amps(point.target_a) },
              { name: t.reason, cell: (point) => point.reason },
            ]}
          />
        )}
        {busy.length < decision.setpoints.length && busy.length > 0 && (
          <p class="soft">{t.idle(decision.setpoints.length - busy.length)}</p>
        )}
      </section>
      <Alternatives key={still ? decision.id : "newest"} building={building} decision={decision} still={still} />
      <Inputs inputs={decision.inputs} />
      <a href={hrefTo(building.id, "/timeline", {}, { at: decision.at })}>{t.share}</a>
    </div>
  );
}
