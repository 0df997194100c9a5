/** The quirk record: what chargers do beyond what OCPP promises, and a person's word on it. */
import { useState } from "preact/hooks";
import { all, api, type Schemas, told } from "../../api/client";
import { may } from "../../api/session";
import { useAsked } from "../../components/asked";
import { Icon } from "../../components/icon";
import { Button, Card, Empty, Field, Loading, Problem } from "../../components/parts";
import { Table } from "../../components/table";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { lines, type Line, written } from "./quirk-lines";

type Record_ = Schemas["QuirksDocument"];

const t = texts.settings;

export function QuirkRecord({ building }: { building: Building }) {
  const [editing, setEditing] = useState<string | null>(null);
  const [saved, setSaved] = useState(false);
  const path = { site: building.id };
  const found = useAsked(
    () => all((cursor) => told(api.GET("/api/v1/sites/{site}/quirks", { params: { path, query: { cursor } } }))),
    [building.id],
  );
  const base = `/api/v1/sites/${encodeURIComponent(building.id)}`;
  const edited = found.data?.find((one) => one.charger === editing);
  return (
    <Card
      title={t.quirks}
      actions={
        <span class="row">
          <a class="button button-plain" href={`${base}/quirks.csv`} download={`${building.id}-quirks.csv`}>
            <Icon name="download" size={18} />
            {t.csv}
          </a>
          <a class="button button-plain" href={`${base}/quirks.md`} download={`${building.id}-quirks.md`}>
            <Icon name="download" size={18} />
            {t.report}
          </a>
        </span>
      }
    >
      <p class="soft">{t.quirksNote}</p>
      <p role="status" class={saved ? "note tone-good" : "visually-hidden"}>
        {saved ? t.quirksSaved : ""}
      </p>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.data === undefined && found.problem === undefined && <Loading />}
      {found.data?.length === 0 && <Empty />}
      {edited !== undefined && (
        <Edit
          key={edited.charger}
          record={edited}
          done={(wrote) => {
            setEditing(null);
            setSaved(wrote);
            if (wrote) found.again();
          }}
        />
      )}
      {found.data !== undefined && found.data.length > 0 && (
        <Table
          caption={t.quirks}
          rows={found.data}
          id={(one) => one.charger}
          columns={[
            { name: t.charger, cell: (one) => one.charger },
            { name: t.model, cell: (one) => model(one) },
            { name: t.known, cell: (one) => <Known record={one} /> },
            ...(may("operate")
              ? [
                  {
                    name: t.edit,
                    cell: (one: Record_) => (
                      <Button
                        look="quiet"
                        aria-label={t.editLabel(one.charger)}
                        onClick={() => {
                          setSaved(false);
                          setEditing(one.charger);
                        }}
                      >
                        {t.edit}
                      </Button>
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
    </Card>
  );
}

function model(record: Record_): string {
  return record.model === null ? t.noModel : `${record.model.vendor} ${record.model.model} ${record.model.firmware}`;
}

function Known({ record }: { record: Record_ }) {
  const known = lines(record.quirks);
  if (known.length === 0) return <span class="soft">{t.nothingKnown}</span>;
  return (
    <details>
      <summary>{t.knownCount(known.length, Object.keys(record.written).length)}</summary>
      <ul class="known">
        {known.map((one) => (
          <li key={one.quirk}>
            <code>{one.quirk}</code> {one.value}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Edit({ record, done }: { record: Record_; done: (wrote: boolean) => void }) {
  const [typed, setTyped] = useState<readonly Line[]>(lines(record.written));
  const [problem, setProblem] = useState<unknown>(undefined);
  const put = (index: number, part: Partial<Line>) => {
    setTyped(typed.map((line, at) => (at === index ? { ...line, ...part } : line)));
  };
  const save = () => {
    const params = { path: { charger: record.charger } };
    told(api.PUT("/api/v1/chargers/{charger}/quirks", { params, body: { written: written(typed) } })).then(
      () => {
        done(true);
      },
      (error: unknown) => {
        setProblem(error);
      },
    );
  };
  return (
    <form
      class="quirk-form"
      aria-label={t.written(record.charger)}
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <h3>{t.written(record.charger)}</h3>
      {typed.map((line, index) => (
        <div key={index} class="quirk-line">
          <Field label={t.quirk}>
            {(named) => <input {...named} value={line.quirk} spellcheck={false} onInput={(event) => { put(index, { quirk: event.currentTarget.value }); }} />}
          </Field>
          <Field label={t.value} hint={t.valueHint}>
            {(named) => <input {...named} value={line.value} spellcheck={false} onInput={(event) => { put(index, { value: event.currentTarget.value }); }} />}
          </Field>
          <Button
            look="quiet"
            icon="close"
            aria-label={t.removeLabel(line.quirk)}
            onClick={() => {
              setTyped(typed.filter((_, at) => at !== index));
            }}
          />
        </div>
      ))}
      {problem !== undefined && <Problem problem={problem} />}
      <div class="row">
        <Button
          icon="plus"
          onClick={() => {
            setTyped([...typed, { quirk: "", value: "" }]);
          }}
        >
          {t.add}
        </Button>
        <Button type="submit" look="main">
          {texts.common.save}
        </Button>
        <Button
          look="quiet"
          onClick={() => {
            done(false);
          }}
        >
          {texts.common.cancel}
        </Button>
      </div>
    </form>
  );
}
