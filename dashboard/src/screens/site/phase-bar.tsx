/** One phase of a panel: what the building draws, what the cars are counted at, what is left, and where it ends. */
import { Icon } from "../../components/icon";
import { amps } from "../../format";
import { bindingKey } from "../../live/bindings";
import type { Building } from "../../live/building";
import type { FeederLoad, Phase } from "../../live/loads";
import { texts } from "../../texts";
import { barOf } from "./bar";
import { roomLeft } from "./figures";

interface PhaseBarProps {
  building: Building;
  feeder: string;
  phase: Phase;
  load: FeederLoad["phases"][Phase] & object;
  limit: number | undefined;
}

export function PhaseBar({ building, feeder, phase, load, limit }: PhaseBarProps) {
  const held = building.bindings.value.get(bindingKey(feeder, phase)) ?? 0;
  const left = roomLeft(load, limit);
  const bar = barOf(load, limit);
  const bound = amps(Math.min(load.usable_a, limit ?? Infinity));
  const told = left < -0.05 ? texts.site.over(amps(-left)) : texts.site.left(amps(Math.max(0, left)));
  return (
    <div class={`phase${held > 0 ? " phase-binding" : ""}${left < -0.05 ? " phase-over" : ""}`}>
      <span class="phase-name" aria-hidden="true">
        {phase}
      </span>
      <div
        class="phase-bar"
        role="img"
        aria-label={texts.site.phaseLabel(phase, amps(load.base_load_a), amps(load.ev_a), amps(Math.max(0, left)), bound)}
      >
        <span class="phase-kept" style={{ clipPath: upTo(bar.kept) }} />
        <span class="phase-ev" style={{ clipPath: upTo(bar.ev) }} />
        <span class="phase-base" style={{ clipPath: upTo(bar.base) }} />
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
