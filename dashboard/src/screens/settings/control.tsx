/** Strategy and scheduler, switched live and for good. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { may } from "../../api/session";
import { Button, Card, Field, Problem } from "../../components/parts";
import type { Building } from "../../live/building";
import { texts } from "../../texts";

type Request = Schemas["StrategyRequest"];

const t = texts.settings;

export function Control({ building, site }: { building: Building; site: Schemas["SiteDocument"] }) {
  const [strategy, setStrategy] = useState<string | null>(null);
  const [scheduler, setScheduler] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>(undefined);
  const [switched, setSwitched] = useState(false);
  const [busy, setBusy] = useState(false);
  const change = (body: Request) => {
    setBusy(true);
    setSwitched(false);
    setProblem(undefined);
    told(api.POST("/api/v1/sites/{site}/strategy", { params: { path: { site: building.id } }, body }))
      .then(
        () => {
          setSwitched(true);
          setStrategy(null);
          setScheduler(null);
        },
        (error: unknown) => {
          setProblem(error);
        },
      )
      .finally(() => {
        setBusy(false);
      });
  };
  const allowed = may("operate");
  const nothingNew = (strategy ?? site.strategy) === site.strategy && (scheduler ?? site.scheduler) === site.scheduler;
  return (
    <Card title={t.control}>
      <form
        class="control-form"
        onSubmit={(event) => {
          event.preventDefault();
          change({
            ...(strategy === null ? {} : { strategy: strategy as NonNullable<Request["strategy"]> }),
            ...(scheduler === null ? {} : { scheduler: scheduler as NonNullable<Request["scheduler"]> }),
          });
        }}
      >
        <Choice label={t.strategy} names={t.strategies} value={strategy ?? site.strategy} allowed={allowed} choose={setStrategy} />
        <Choice label={t.scheduler} names={t.schedulers} value={scheduler ?? site.scheduler} allowed={allowed} choose={setScheduler} />
        {allowed && (
          <div class="row">
            <Button type="submit" look="main" disabled={busy || nothingNew}>
              {t.switch}
            </Button>
            <Button
              look="quiet"
              disabled={busy}
              onClick={() => {
                change({ strategy: null, scheduler: null });
              }}
            >
              {t.toFile}
            </Button>
          </div>
        )}
      </form>
      <p role="status" class={switched ? "note tone-good" : "visually-hidden"}>
        {switched ? t.switched : ""}
      </p>
      {problem !== undefined && <Problem problem={problem} />}
    </Card>
  );
}

interface ChoiceProps {
  label: string;
  names: Record<string, string>;
  value: string;
  allowed: boolean;
  choose: (value: string) => void;
}

function Choice({ label, names, value, allowed, choose }: ChoiceProps) {
  return (
    <Field label={label}>
      {(named) => (
        <select {...named} value={value} disabled={!allowed} onChange={(event) => { choose(event.currentTarget.value); }}>
          {Object.entries(names).map(([one, name]) => (
            <option key={one} value={one}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
