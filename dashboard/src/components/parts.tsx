/** The small parts that every screen is made of. */
import type { ButtonHTMLAttributes, ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { ApiProblem } from "../api/client";
import { texts } from "../texts";
import { Icon, type IconName } from "./icon";

export type Tone = "plain" | "good" | "busy" | "warn" | "bad" | "mute";

/** A screen's head: its title, what is told beside it, and what can be done. */
export function Head({ title, note, back, actions }: HeadProps) {
  return (
    <header class="head">
      {back !== undefined && (
        <a class="back" href={back.href}>
          <Icon name="back" size={18} />
          {back.label}
        </a>
      )}
      <div class="head-row">
        <h1 tabIndex={-1}>{title}</h1>
        {note !== undefined && <div class="head-note">{note}</div>}
        {actions !== undefined && <div class="head-actions">{actions}</div>}
      </div>
    </header>
  );
}

interface HeadProps {
  title: ComponentChildren;
  note?: ComponentChildren;
  back?: { href: string; label: string };
  actions?: ComponentChildren;
}

/** A titled box. */
export function Card({ title, actions, children, class: extra = "" }: CardProps) {
  const id = useId();
  return (
    <section class={`card ${extra}`} aria-labelledby={title === undefined ? undefined : id}>
      {title !== undefined && (
        <div class="card-head">
          <h2 id={id}>{title}</h2>
          {actions}
        </div>
      )}
      {children}
    </section>
  );
}

interface CardProps {
  title?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
  class?: string;
}

/** A word with a colour and an icon: never told by the colour alone. */
export function Chip({ tone, icon, children }: { tone: Tone; icon?: IconName; children: ComponentChildren }) {
  return (
    <span class={`chip tone-${tone}`}>
      {icon !== undefined && <Icon name={icon} size={14} />}
      {children}
    </span>
  );
}

/** A figure with its name. */
export function Stat({ name, value, note }: { name: string; value: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="stat">
      <dt>{name}</dt>
      <dd>
        <span class="stat-value">{value}</span>
        {note !== undefined && <span class="stat-note">{note}</span>}
      </dd>
    </div>
  );
}

/** Stats in a row. */
export function Stats({ children }: { children: ComponentChildren }) {
  return <dl class="stats">{children}</dl>;
}

type ButtonProps = ButtonHTMLAttributes & { icon?: IconName; look?: "main" | "plain" | "quiet" | "danger" };

export function Button({ icon, look = "plain", children, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} class={`button button-${look}`}>
      {icon !== undefined && <Icon name={icon} size={18} />}
      {children}
    </button>
  );
}

/** A label with its control; the control takes the id. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  const about = hint !== undefined || error !== undefined ? `${id}-about` : undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": about, "aria-invalid": error === undefined ? undefined : true })}
      {about !== undefined && (
        <p id={about} class={error === undefined ? "field-hint" : "field-error"}>
          {error ?? hint}
        </p>
      )}
    </div>
  );
}

export interface Named {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  label: string;
  hint?: string;
  error?: string | undefined;
  children: (named: Named) => ComponentChildren;
}

export function Loading() {
  return (
    <p class="loading" role="status">
      {texts.common.loading}
    </p>
  );
}

export function Empty({ children = texts.common.nothing }: { children?: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** What went wrong, in the service's own words, and a way to try again. */
export function Problem({ problem, retry }: { problem: unknown; retry?: () => void }) {
  const detail = problem instanceof Error ? problem.message : String(problem);
  return (
    <div class="note tone-bad" role="alert">
      <Icon name="alerts" />
      <div>
        <strong>{problem instanceof ApiProblem && problem.title !== "" ? problem.title : texts.common.failed}</strong>
        <p>{detail}</p>
        {retry !== undefined && <Button onClick={retry}>{texts.common.retry}</Button>}
      </div>
    </div>
  );
}
