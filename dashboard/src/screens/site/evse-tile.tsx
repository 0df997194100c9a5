/** One EVSE in the diagram. Drawn anew when it changes, and it alone. */
import { Icon } from "../../components/icon";
import { lookOf } from "../../components/state";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { hrefTo } from "../../router";
import { texts } from "../../texts";

export function EvseTile({ building, id }: { building: Building; id: string }) {
  const evse = building.evse(id)?.value;
  if (evse === undefined) return null;
  const { state, tone, icon } = lookOf(evse);
  const name = texts.states[state] ?? state;
  const drawn = evse.session === null ? null : evse.measured_a;
  const limit = evse.session === null ? null : evse.setpoint_a;
  const share = drawn === null || limit === null || limit <= 0 ? 0 : Math.min(1, drawn / limit);
  return (
    <li class={`evse tone-${tone}`}>
      <a
        href={hrefTo(building.id, "/evses/:evse", { evse: id })}
        title={evse.reason ?? undefined}
      >
        <span class="evse-id">{id}</span>
        <span class="evse-state">
          <Icon name={icon} size={14} />
          <span class="evse-word">{name}</span>
        </span>
        <span class="evse-amps">
          {evse.session === null ? "" : amps(drawn)}
          {limit !== null && <small> {texts.site.of(amps(limit))}</small>}
        </span>
        <span class="evse-bar" style={{ transform: `scaleX(${Math.round(share * 1000) / 1000})` }} />
      </a>
    </li>
  );
}
