/** The panel tree as a one-line diagram: from the supply down, each panel with its phases and what hangs below it. */
import { useMemo } from "preact/hooks";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import type { FeederLoad, Phase } from "../../live/loads";
import { texts } from "../../texts";
import { duration, now } from "../../time";
import { Icon } from "../../components/icon";
import { Chip } from "../../components/parts";
import { EvseTile } from "./evse-tile";
import { PhaseBar } from "./phase-bar";

const DENSE_FROM = 40;
/** So many are never all at rest: bars that glide would have the browser paint every frame, for ever. */
const STILL_FROM = 100;

export function Diagram({ building }: { building: Building }) {
  const site = building.site.value;
  const order = building.order.value;
  const below = useMemo(() => {
    const found = new Map<string, string[]>();
    for (const id of order) {
      const feeder = building.evse(id)?.peek().feeder;
      if (feeder !== undefined) found.set(feeder, [...(found.get(feeder) ?? []), id]);
    }
    return found;
  }, [order, building]);
  if (site === null) return null;
  return (
    <ul class={order.length >= STILL_FROM ? "diagram diagram-still" : "diagram"}>
      {site.feeders
        .filter((feeder) => feeder.parent === null)
        .map((feeder) => (
          <Panel key={feeder.id} building={building} feeder={feeder.id} feeders={site.feeders} below={below} />
        ))}
    </ul>
  );
}

interface PanelProps {
  building: Building;
  feeder: string;
  feeders: readonly FeederLoad[];
  below: ReadonlyMap<string, readonly string[]>;
}

function Panel({ building, feeder, feeders, below }: PanelProps) {
  const children = feeders.filter((one) => one.parent === feeder);
  const evses = below.get(feeder) ?? [];
  return (
    <li class="panel">
      <PanelBox building={building} feeder={feeder} />
      {evses.length > 0 && (
        <ul class={evses.length >= DENSE_FROM ? "evses evses-dense" : "evses"} aria-label={texts.site.evsesOf(feeder)}>
          {evses.map((id) => (
            <EvseTile key={id} building={building} id={id} />
          ))}
        </ul>
      )}
      {children.length > 0 && (
        <ul class="panels">
          {children.map((child) => (
            <Panel key={child.id} building={building} feeder={child.id} feeders={feeders} below={below} />
          ))}
        </ul>
      )}
    </li>
  );
}

function PanelBox({ building, feeder }: { building: Building; feeder: string }) {
  const load = building.feeders.get(feeder)?.value;
  if (load === undefined) return null;
  const limit = building.limited.value.get(feeder);
  const phases = Object.entries(load.phases) as [Phase, FeederLoad["phases"][Phase] & object][];
  const first = phases[0]?.[1];
  return (
    <div class="panel-box">
      <div class="panel-head">
        <h3>{texts.site.feeder(feeder)}</h3>
        {first !== undefined && (
          <span class="panel-note">{texts.site.rating(amps(first.rating_a), amps(first.usable_a))}</span>
        )}
        {limit !== undefined && (
          <Chip tone="bad" icon="limits">
            {texts.site.limited(amps(limit))}
          </Chip>
        )}
        <Source load={load} />
      </div>
      <div class="phases">
        {phases.map(([phase, one]) => (
          <PhaseBar key={phase} building={building} feeder={feeder} phase={phase} load={one} source={load.source} limit={limit} />
        ))}
      </div>
    </div>
  );
}

function Source({ load }: { load: FeederLoad }) {
  const fine = load.source === "measured" || load.source === "dedicated";
  const name = texts.site.sources[load.source] ?? load.source;
  if (!fine)
    return (
      <Chip tone="warn" icon="meter">
        {name}
      </Chip>
    );
  return (
    <span class="panel-source">
      <Icon name="meter" size={15} />
      {name}
      {load.source === "measured" && load.reading_at !== null && (
        <> {texts.site.ago(duration(now.value - Date.parse(load.reading_at)))}</>
      )}
    </span>
  );
}

export function Legend() {
  const words = texts.site.legend;
  return (
    <ul class="legend" aria-label={words.title}>
      <li>
        <span class="swatch swatch-base" />
        {words.base}
      </li>
      <li>
        <span class="swatch swatch-ev" />
        {words.ev}
      </li>
      <li>
        <span class="swatch swatch-counted" />
        {words.counted}
      </li>
      <li>
        <span class="swatch swatch-kept" />
        {words.kept}
      </li>
      <li>
        <span class="swatch swatch-room" />
        {words.room}
      </li>
      <li>
        <span class="swatch swatch-usable" />
        {words.usable}
      </li>
      <li>
        <span class="swatch swatch-limit" />
        {words.limit}
      </li>
    </ul>
  );
}
