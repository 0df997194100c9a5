/** What changed last: one line per decision, in the words of a resident's question. */
import { Card, Empty } from "../../components/parts";
import type { Building } from "../../live/building";
import type { DecisionNotice } from "../../live/notices";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import { clockTime } from "../../time";

const SHOWN = 12;

export function Latest({ building }: { building: Building }) {
  const decisions = building.decisions.value.slice(0, SHOWN);
  return (
    <Card title={texts.site.latest} class="latest">
      {decisions.length === 0 ? (
        <Empty>{texts.site.nothingChanged}</Empty>
      ) : (
        <ol>
          {decisions.map((decision) => (
            <Told key={decision.id} building={building} decision={decision} />
          ))}
        </ol>
      )}
    </Card>
  );
}

function Told({ building, decision }: { building: Building; decision: DecisionNotice }) {
  const first = decision.changed.find((one) => one.kind !== "no_session") ?? decision.changed[0];
  if (first === undefined) return null;
  const others = decision.changed.length - 1;
  return (
    <li>
      <time dateTime={decision.at}>{clockTime(decision.at, building.zone)}</time>
      <span>
        <a href={hrefTo(building.id, "/evses/:evse", { evse: first.evse })}>{first.evse}</a>
        {first.text.startsWith(first.evse) ? first.text.slice(first.evse.length) : ` ${first.text}`}
        {others > 0 && <span class="latest-more"> {texts.site.more(others)}</span>}
      </span>
    </li>
  );
}
