/** Labelled inputs that forms share. */
import { Field } from "./parts";

interface InputProps {
  label: string;
  hint?: string;
  error?: string | undefined;
  value: string;
  typed: (value: string) => void;
}

/** A date and time on the site's own clock (`zoned`); `min` in the same form. */
export function TimeInput({ label, hint, error, value, typed, min }: InputProps & { min?: string }) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(named) => (
        <input
          {...named}
          type="datetime-local"
          value={value}
          min={min}
          onInput={(event) => {
            typed(event.currentTarget.value);
          }}
        />
      )}
    </Field>
  );
}

/** A number as people write it. */
export function NumberInput({ label, hint, error, value, typed }: InputProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(named) => (
        <input
          {...named}
          inputMode="decimal"
          value={value}
          onInput={(event) => {
            typed(event.currentTarget.value);
          }}
        />
      )}
    </Field>
  );
}
