/** One of a few, side by side: a group of radio buttons that looks like one control. */
import { useId } from "preact/hooks";

interface ChoiceProps<T extends string> {
  label: string;
  value: T;
  options: Readonly<Record<T, string>>;
  choose: (value: T) => void;
}

export function Choice<T extends string>({ label, value, options, choose }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">{label}</legend>
      {(Object.entries(options) as [T, string][]).map(([key, text]) => (
        <label key={key}>
          <input
            type="radio"
            class="visually-hidden"
            name={name}
            checked={key === value}
            onChange={() => {
              choose(key);
            }}
          />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
