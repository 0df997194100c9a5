/** The same instant, decided by others: "with equal sharing P1-01 would have been given 14.2 A instead of 9 A." */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Field, Loading, Problem } from "../../components/parts";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { texts } from "../../texts";

type Decision = Schemas["DecisionDocument"];
type Alternative = Schemas["Alternative"];

const t = texts.timeline;
const OFFERED = ["equal", "fcfs", "milp", "none"] as const;

interface Props {
  building: Building;
  decision: Decision;
  /** Whether this decision stays on the screen: one that is followed by the next is asked about only then. */
  still: boolean;
}

export function Alternatives({ building, decision, still }: Props) {
  const [strategy, setStrategy] = useState<(typeof OFFERED)[number]>("equal");
  const path = { site: building.id, decision: decision.id };
  const found = useAsked(
    () =>
      told(
        api.GET("/api/v1/sites/{site}/decisions/{decision}/alternatives", {
          params: { path, query: { strategy: [strategy] } },
        }),
      ),
    [still ? decision.id : "newest", strategy],
  );
  const alternative = found.data?.[0];
  return (
    <section>
      <div class="card-head">
        <h3>{t.alternatives}</h3>
        <Field label={t.strategy}>
          {(named) => (
            <select {...named} value={strategy} onChange={(event) => { setStrategy(event.currentTarget.value as typeof strategy); }}>
              {OFFERED.map((one) => (
                <option key={one} value={one}>
                  {t.strategies[one]}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {alternative === undefined && found.problem === undefined && <Loading />}
      {alternative !== undefined && <Told alternative={alternative} />}
    </section>
  );
}

function Told({ alternative }: { alternative: Alternative }) {
  if (alternative.setpoints.length === 0) return <p class="soft">{t.same}</p>;
  return (
    <>
      <p>{t.totals(amps(alternative.total_a), amps(alternative.instead_of_a))}</p>
      <ul class="sentences">
        {alternative.setpoints.map((point) => (
          <li key={point.evse}>{point.text}</li>
        ))}
      </ul>
    </>
  );
}
