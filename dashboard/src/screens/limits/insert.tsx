/** A new limit: typed, looked at, then set. Whatever is changed after the look has to be looked at anew. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { Icon } from "../../components/icon";
import { NumberInput, TimeInput } from "../../components/inputs";
import { Button, Card, Field, Problem } from "../../components/parts";
import { Table } from "../../components/table";
import { amps, numberOrNull } from "../../format";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { instantOf } from "../../zoned";

type Preview = Schemas["LimitPreview"];

const t = texts.limits;

interface Typed {
  feeder: string;
  limit: string;
  from: string;
  until: string;
  reason: string;
}

type Errors = Partial<Record<keyof Typed, string>>;

export function Insert({ building, saved }: { building: Building; saved: () => void }) {
  const feeders = building.site.value?.feeders ?? [];
  const [typed, setTyped] = useState<Typed>({ feeder: feeders[0]?.id ?? "", limit: "", from: "", until: "", reason: "" });
  const [errors, setErrors] = useState<Errors>({});
  const [preview, setPreview] = useState<Preview | null>(null);
  const [problem, setProblem] = useState<unknown>(undefined);
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const effect = useRef<HTMLDivElement>(null);
  const key = useRef(crypto.randomUUID());

  useEffect(() => {
    if (preview !== null) effect.current?.focus();
  }, [preview]);

  const change = (part: Partial<Typed>) => {
    setTyped({ ...typed, ...part });
    setPreview(null);
    key.current = crypto.randomUUID();
  };

  const send = async () => {
    const found = check(typed, building.zone);
    setErrors(found);
    if (Object.keys(found).length > 0) {
      setTimeout(() => form.current?.querySelector<HTMLElement>("[aria-invalid]")?.focus());
      return;
    }
    setBusy(true);
    setProblem(undefined);
    const params = { path: { site: building.id } };
    const body = asked(typed, building.zone);
    try {
      if (preview === null) setPreview(await told(api.POST("/api/v1/sites/{site}/limits/preview", { params, body })));
      else {
        const header = { "Idempotency-Key": key.current };
        await told(api.POST("/api/v1/sites/{site}/limits", { params: { ...params, header }, body }));
        change({ limit: "", from: "", until: "", reason: "" });
        saved();
      }
    } catch (error) {
      setProblem(error);
    } finally {
      setBusy(false);
    }
  };
  const usable = Object.values(feeders.find((one) => one.id === typed.feeder)?.phases ?? {})[0]?.usable_a;
  return (
    <Card title={t.insert}>
      <form
        ref={form}
        class="limit-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <Field label={t.feeder}>
          {(named) => (
            <select {...named} value={typed.feeder} onChange={(event) => { change({ feeder: event.currentTarget.value }); }}>
              {feeders.map((feeder) => (
                <option key={feeder.id} value={feeder.id}>
                  {feeder.id}
                </option>
              ))}
            </select>
          )}
        </Field>
        <NumberInput
          label={t.limit}
          hint={t.limitHint(amps(usable))}
          error={errors.limit}
          value={typed.limit}
          typed={(limit) => {
            change({ limit });
          }}
        />
        <TimeInput
          label={t.from}
          hint={t.fromHint}
          error={errors.from}
          value={typed.from}
          typed={(from) => {
            change({ from });
          }}
        />
        <TimeInput
          label={t.until}
          hint={t.untilHint}
          error={errors.until}
          value={typed.until}
          typed={(until) => {
            change({ until });
          }}
        />
        <div class="limit-reason">
          <Field label={t.reason} hint={t.reasonHint} error={errors.reason}>
            {(named) => (
              <input {...named} maxLength={500} value={typed.reason} onInput={(event) => { change({ reason: event.currentTarget.value }); }} />
            )}
          </Field>
        </div>
        {problem !== undefined && <Problem problem={problem} />}
        {preview !== null && (
          <div ref={effect} tabIndex={-1} class="effect">
            <Effect preview={preview} />
          </div>
        )}
        <div class="limit-actions">
          <Button type="submit" look={preview === null ? "plain" : "main"} disabled={busy}>
            {preview === null ? t.preview : t.save}
          </Button>
        </div>
      </form>
    </Card>
  );
}

/** What is wrong with what was typed, by field. */
export function check(typed: Typed, zone: string): Errors {
  const errors: Errors = {};
  const limit = numberOrNull(typed.limit);
  if (limit == null || limit < 0) errors.limit = t.needLimit;
  if (typed.reason.trim() === "") errors.reason = t.needReason;
  const from = instantOf(typed.from, zone);
  const until = instantOf(typed.until, zone);
  if (typed.from !== "" && from === null) errors.from = t.badTime;
  if (typed.until !== "" && until === null) errors.until = t.badTime;
  if (from !== null && until !== null && until <= from) errors.until = t.orderTime;
  return errors;
}

function asked(typed: Typed, zone: string): Schemas["LimitRequest"] {
  return {
    feeder: typed.feeder,
    limit_a: numberOrNull(typed.limit) ?? 0,
    from: instantOf(typed.from, zone),
    until: instantOf(typed.until, zone),
    reason: typed.reason.trim(),
  };
}

function Effect({ preview }: { preview: Preview }) {
  const phases = Object.keys(preview.before) as ("A" | "B" | "C")[];
  return (
    <section aria-label={t.effect}>
      <h3>{t.effect}</h3>
      <p class="soft">{t.effectNote}</p>
      <p class={`note ${preview.held ? "tone-good" : "tone-bad"}`}>
        <Icon name={preview.held ? "check" : "alerts"} />
        {preview.held ? t.held : t.notHeld}
      </p>
      <Table
        caption={t.effect}
        rows={phases}
        id={(phase) => phase}
        columns={[
          { name: t.phase, cell: (phase) => phase },
          { name: t.before, number: true, cell: (phase) => amps(preview.before[phase]) },
          { name: t.after, number: true, cell: (phase) => amps(preview.after[phase]) },
        ]}
      />
      <details open={preview.evses.length <= 12}>
        <summary>{preview.evses.length === 0 ? t.unchanged : t.changes(preview.evses.length)}</summary>
        {preview.evses.length > 0 && (
          <Table
            caption={t.changes(preview.evses.length)}
            rows={preview.evses}
            id={(one) => one.evse}
            columns={[
              { name: t.evse, cell: (one) => one.evse },
              { name: t.before, number: true, cell: (one) => amps(one.before_a) },
              { name: t.after, number: true, cell: (one) => amps(one.after_a) },
            ]}
          />
        )}
      </details>
    </section>
  );
}
