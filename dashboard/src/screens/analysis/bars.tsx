/** A bar for each month. The same figures stand in the table below, so that a reader need not count pixels. */
interface Bar {
  name: string;
  value: number;
}

interface Props {
  title: string;
  bars: readonly Bar[];
  text: (value: number) => string;
  colour: "ev" | "held" | "fair";
  /** The height of the whole; the highest bar where it is left out. */
  most?: number;
}

export function Bars({ title, bars, text, colour, most }: Props) {
  const top = Math.max(most ?? 0, ...bars.map((bar) => bar.value)) || 1;
  return (
    <figure class="bars">
      <figcaption>{title}</figcaption>
      <ol>
        {bars.map((bar) => (
          <li key={bar.name}>
            <span class="bar-value">{bar.value > 0 ? text(bar.value) : ""}</span>
            <span class={`bar-body bar-${colour}`} style={{ height: `${(100 * bar.value) / top}px` }} />
            <span class="bar-name">{bar.name}</span>
          </li>
        ))}
      </ol>
    </figure>
  );
}
