/** What a decision looked at: the panels as they were taken, and the limits in force. */
import { Table } from "../../components/table";
import { amps } from "../../format";
import { texts } from "../../texts";

const t = texts.timeline;

type Amps = Partial<Record<string, number>>;

/** As inventory/inputs.py writes it; what is at its default is left out there. */
interface FeederInput {
  source?: string;
  base_likely_a?: Amps;
  base_high_a?: Amps;
  forecast_a?: Amps;
  metered_a?: Amps;
}

interface LimitInput {
  id: string;
  feeder: string;
  limit_a: number;
  reason: string;
}

export function Inputs({ inputs }: { inputs: Record<string, unknown> }) {
  const feeders = Object.entries((inputs.feeders ?? {}) as Record<string, FeederInput>);
  const limits = (inputs.limits ?? []) as LimitInput[];
  return (
    <details>
      <summary>{t.inputs}</summary>
      <Table
        caption={t.inputs}
        rows={feeders}
        id={([name]) => name}
        columns={[
          { name: t.feeder, cell: ([name]) => name },
          { name: t.source, cell: ([, one]) => t.sources[one.source ?? "dedicated"] ?? one.source },
          { name: t.metered, cell: ([, one]) => perPhase(one.metered_a) },
          { name: t.likely, cell: ([, one]) => perPhase(one.base_likely_a) },
          { name: t.high_, cell: ([, one]) => perPhase(one.base_high_a) },
          { name: t.forecast, cell: ([, one]) => perPhase(one.forecast_a) },
        ]}
      />
      {limits.length > 0 && (
        <>
          <h4>{t.standing}</h4>
          <ul class="sentences">
            {limits.map((one) => (
              <li key={one.id}>{t.standingLimit(one.feeder, amps(one.limit_a), one.reason)}</li>
            ))}
          </ul>
        </>
      )}
    </details>
  );
}

function perPhase(found: Amps | undefined): string {
  const rows = Object.entries(found ?? {});
  return rows.length === 0 ? texts.common.none : rows.map(([phase, value]) => `${phase} ${amps(value)}`).join(", ");
}
