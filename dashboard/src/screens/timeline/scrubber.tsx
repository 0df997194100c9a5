/** A slider below the chart: which instant is looked at. */
import { texts } from "../../texts";
import { fullTime } from "../../time";
import type { History } from "./timeline";

const t = texts.timeline;

interface Props {
  history: History;
  zone: string;
  at: number | null;
  look: (at: number) => void;
}

export function Scrubber({ history, zone, at, look }: Props) {
  const { marks } = history;
  const first = marks[0];
  const last = marks.at(-1);
  if (first === undefined || last === undefined) return null;
  // The slider's places are the marks: each arrow key is the next decision, however far that is.
  const here = at === null ? marks.length - 1 : Math.max(0, marks.findLastIndex((mark) => Date.parse(mark.at) <= at));
  const mark = marks[here] ?? last;
  return (
    <div class="scrubber">
      <label for="scrubber">{t.scrub}</label>
      <output for="scrubber">{fullTime(at ?? mark.at, zone)}</output>
      <input
        id="scrubber"
        type="range"
        min={0}
        max={marks.length - 1}
        step={1}
        value={here}
        aria-valuetext={fullTime(mark.at, zone)}
        aria-describedby="scrubber-hint"
        onInput={(event) => {
          const chosen = marks[Number(event.currentTarget.value)];
          if (chosen !== undefined) look(Date.parse(chosen.at));
        }}
      />
      <p id="scrubber-hint" class="soft">
        {t.scrubHint}
      </p>
    </div>
  );
}
