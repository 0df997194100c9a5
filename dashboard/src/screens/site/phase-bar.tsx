/** One phase of a panel: what the building draws, what the cars are counted at, what is left, and where it ends. */
import { Icon } from "../../components/icon";
import { amps } from "../../format";
import { bindingKey } from "../../live/bindings";
import type { Building } from "../../live/building";
import type { FeederLoad, Phase } from "../../live/loads";
import { texts } from "../../texts";
import { barOf } from "./bar";
import { isGuess, overBy, roomLeft } from "./figures";

interface PhaseBarProps {
  building: Building;
  feeder: string;
  phase: Phase;
  load: FeederLoad["phases"][Phase] & object;
  source: string;
  limit: number | undefined;
}

export function PhaseBar({ building, feeder, phase, load, source, limit }: PhaseBarProps) {
  const held = building.bindings.value.get(bindingKey(feeder, phase)) ?? 0;
  const left = Math.max(0, roomLeft(load, limit));
  const over = overBy(load, limit, source);
  const bar = barOf(load, limit);
  const bound = amps(Math.min(load.usable_a, limit ?? Infinity));
  const told = over > 0.05 ? texts.site.over(amps(over)) : texts.site.left(amps(left));
  return (
    <div class={`phase${held > 0 ? " phase-binding" : ""}${over > 0.05 ? " phase-over" : ""}`}>
      <span class="phase-name" aria-hidden="true">
        {phase}
      </span>
      <div
        class="phase-bar"
        role="img"
        aria-label={texts.site.phaseLabel(phase, {
          base: amps(load.base_load_a),
          counted: amps(load.ev_a),
          measured: amps(load.ev_measured_a),
          told,
          bound,
        })}
      >
        <span class="phase-kept" style={{ clipPath: upTo(bar.kept) }} />
        <span class="phase-counted" style={{ clipPath: upTo(bar.ev) }} />
        <span class="phase-ev" style={{ clipPath: upTo(bar.drawn) }} />
        <span class={isGuess(source) ? "phase-kept" : "phase-base"} style={{ clipPath: upTo(bar.base) }} />
        <span class="phase-usable" style={{ left: `${bar.usable * 100}%` }} />
        {bar.limit !== null && <span class="phase-limit" style={{ left: `${bar.limit * 100}%` }} />}
      </div>
      <span class="phase-left">{told}</span>
      {held > 0 && (
        <span class="phase-held">
          <Icon name="lock" size={14} />
          {texts.site.binds(held)}
        </span>
      )}
    </div>
  );
}

/** Clipping is painting alone: no layout, and patterns keep their size. */
function upTo(share: number): string {
  return `inset(0 ${((1 - share) * 100).toFixed(2)}% 0 0)`;
}
