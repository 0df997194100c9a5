/** A new token: its text is shown once. */
import { useEffect, useRef, useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { Button, Field, Problem } from "../../components/parts";
import type { Building } from "../../live/building";
import { texts } from "../../texts";

type Role = Schemas["Role"];

const t = texts.settings;

export function NewToken({ building, made }: { building: Building; made: () => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState("");
  const [evses, setEvses] = useState("");
  const [here, setHere] = useState(true);
  const [shown, setShown] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>(undefined);
  const create = () => {
    const listed = evses.split(",").map((one) => one.trim()).filter((one) => one !== "");
    const body = {
      name,
      role,
      sites: here ? [building.id] : null,
      evses: role === "driver" ? listed : null,
      days: days.trim() === "" ? null : Number(days),
    };
    setProblem(undefined);
    told(api.POST("/api/v1/tokens", { body })).then(
      (found) => {
        setShown(found.token);
        setName("");
        made();
      },
      (error: unknown) => {
        setProblem(error);
      },
    );
  };
  if (shown !== null)
    return (
      <Shown
        token={shown}
        done={() => {
          setShown(null);
        }}
      />
    );
  return (
    <form
      class="token-form"
      aria-label={t.create}
      onSubmit={(event) => {
        event.preventDefault();
        create();
      }}
    >
      <Field label={t.name} hint={t.nameHint}>
        {(named) => <input {...named} required maxLength={100} value={name} onInput={(event) => { setName(event.currentTarget.value); }} />}
      </Field>
      <Field label={t.role}>
        {(named) => (
          <select {...named} value={role} onChange={(event) => { setRole(event.currentTarget.value as Role); }}>
            {Object.entries(t.roles).map(([one, text]) => (
              <option key={one} value={one}>
                {text}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={t.days} hint={t.daysHint}>
        {(named) => <input {...named} type="number" min={1} max={3650} value={days} onInput={(event) => { setDays(event.currentTarget.value); }} />}
      </Field>
      {role === "driver" && (
        <Field label={t.evses} hint={t.evsesHint}>
          {(named) => <input {...named} required value={evses} onInput={(event) => { setEvses(event.currentTarget.value); }} />}
        </Field>
      )}
      <label class="tick">
        <input type="checkbox" checked={here} onChange={(event) => { setHere(event.currentTarget.checked); }} />
        {t.onlyHere(building.id)}
      </label>
      {problem !== undefined && <Problem problem={problem} />}
      <div class="row">
        <Button type="submit" look="main">
          {t.create}
        </Button>
      </div>
    </form>
  );
}

function Shown({ token, done }: { token: string; done: () => void }) {
  const [copied, setCopied] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    place.current?.focus();
  }, []);
  const copy = () => {
    void navigator.clipboard.writeText(token).then(() => {
      setCopied(true);
    });
  };
  return (
    <div class="shown-once" ref={place} tabIndex={-1} role="alert">
      <p>{t.shownOnce}</p>
      <code>{token}</code>
      <div class="row">
        <Button icon={copied ? "check" : "copy"} onClick={copy}>
          {copied ? t.copied : t.copy}
        </Button>
        <Button look="main" onClick={done}>
          {t.done}
        </Button>
      </div>
    </div>
  );
}
