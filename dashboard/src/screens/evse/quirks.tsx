/** What is known of the charger beyond what its protocol promises, and from where. */
import { Fragment } from "preact";
import { api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Card, Chip, Empty, Loading, Problem } from "../../components/parts";
import { texts } from "../../texts";
import { fullTime } from "../../time";

export function Quirks({ charger, zone }: { charger: string; zone: string }) {
  const words = texts.evse.quirks;
  const asked = useAsked(
    () => told(api.GET("/api/v1/chargers/{charger}/quirks", { params: { path: { charger } } })),
    [charger],
  );
  return (
    <Card title={words.title}>
      {asked.problem !== undefined && <Problem problem={asked.problem} retry={asked.again} />}
      {asked.data === undefined ? asked.busy && <Loading /> : <Record record={asked.data} zone={zone} />}
    </Card>
  );
}

function Record({ record, zone }: { record: Schemas["QuirksDocument"]; zone: string }) {
  const words = texts.evse.quirks;
  const rows = Object.entries(record.quirks).filter(([name]) => name !== "probed_at");
  if (rows.length === 0) return <Empty>{words.none}</Empty>;
  const probed: unknown = record.quirks.probed_at;
  return (
    <div class="quirks" tabIndex={0} role="group" aria-label={words.title}>
      <dl class="facts">
        {rows.map(([name, value]) => {
          const source = sourceOf(record, name);
          return (
            <Fragment key={name}>
              <dt>{words.names[name] ?? name}</dt>
              <dd>
                {valueText(value)}
                {source !== "learned" && <Chip tone="busy">{words.sources[source]}</Chip>}
              </dd>
            </Fragment>
          );
        })}
      </dl>
      {typeof probed === "string" && (
        <p class="field-hint">
          {words.names.probed_at}: {fullTime(probed, zone)}
        </p>
      )}
    </div>
  );
}

function sourceOf(record: Schemas["QuirksDocument"], name: string): keyof typeof texts.evse.quirks.sources {
  if (name in record.written) return "written";
  return name in record.written_of_model ? "written_of_model" : "learned";
}

function valueText(value: unknown): string {
  if (typeof value === "boolean") return value ? texts.evse.quirks.yes : texts.evse.quirks.no;
  if (Array.isArray(value)) return value.map(String).join(", ");
  return String(value).replaceAll("_", " ");
}
