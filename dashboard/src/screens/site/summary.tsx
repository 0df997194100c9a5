/** The building in five figures, counted twice a second at most. */
import { useEffect, useState } from "preact/hooks";
import { lookOf } from "../../components/state";
import { Icon } from "../../components/icon";
import { Card, Stat, Stats } from "../../components/parts";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { type Figures, figuresOf } from "./figures";

const EVERY_MS = 500;

export function Summary({ building }: { building: Building }) {
  const [figures, setFigures] = useState<Figures>(() => count(building));
  useEffect(() => {
    setFigures(count(building));
    const timer = setInterval(() => {
      if (!document.hidden) setFigures(count(building));
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
    };
  }, [building]);
  const { charging, waiting, connected, unproven, drawn, room } = figures;
  return (
    <Card class="summary">
      <h2 class="visually-hidden">{texts.site.summary}</h2>
      <Stats>
        <Stat name={texts.site.charging} value={charging} note={texts.site.chargingOf(connected)} />
        <Stat name={texts.site.waiting} value={waiting} note={texts.site.waitingNote} />
        {drawn !== null && (
          <Stat name={texts.site.evLoad} value={amps(drawn.amps)} note={texts.site.evNote(drawn.phase, amps(drawn.counted))} />
        )}
        {room !== null && (
          <Stat
            name={texts.site.room}
            value={amps(Math.max(0, room.amps))}
            note={texts.site.roomNote(room.feeder, room.phase)}
          />
        )}
      </Stats>
      {unproven > 0 && (
        <p class="note tone-mute unproven">
          <Icon name="question" />
          {texts.site.unproven(unproven)}
        </p>
      )}
    </Card>
  );
}

function count(building: Building): Figures {
  const evses = building.order.peek().flatMap((id) => building.evse(id)?.peek() ?? []);
  const feeders = [...building.feeders.values()].map((one) => one.peek());
  return figuresOf(evses, feeders, building.limited.peek(), (evse) => lookOf(evse).state);
}
