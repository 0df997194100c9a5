/** One EVSE: what it draws beside its limit, why it has that limit, its turn, its car, its charger and what was said. */
import { Card, Chip, Head, Loading, Problem, Stat, Stats } from "../../components/parts";
import { StateChip } from "../../components/state";
import { amps } from "../../format";
import type { Evse } from "../../live/building";
import { hrefTo } from "../../router";
import { may } from "../../api/session";
import { texts } from "../../texts";
import type { ScreenProps } from "..";
import { Charger } from "./charger";
import { CurrentChart } from "./current-chart";
import { DriverLink } from "./driver-link";
import "./evse.css";
import { Messages } from "./messages";
import { Quirks } from "./quirks";
import { SessionCard } from "./session-card";
import { Turn } from "./turn";

export default function EvseScreen({ building, params }: ScreenProps) {
  const id = params.evse ?? "";
  if (building.site.value === null) {
    const problem = building.problem.value;
    return problem === null ? <Loading /> : <Problem problem={problem} retry={() => void building.load()} />;
  }
  const evse = building.evse(id)?.value;
  const back = { href: hrefTo(building.id), label: texts.evse.back };
  if (evse === undefined) return <Head title={texts.evse.unknown(id)} back={back} />;
  return (
    <>
      <Head title={evse.id} note={<StateChip evse={evse} />} back={back} />
      <div class="stack">
        <Why evse={evse} />
        <CurrentChart building={building} id={evse.id} maxA={evse.in_force_a} />
        <div class="evse-columns">
          <Turn building={building} evse={evse} />
          <SessionCard building={building} evse={evse} />
          <Charger building={building} evse={evse} />
          <Quirks charger={evse.charger} zone={building.zone} />
          {may("operate") && <DriverLink evse={evse.id} />}
        </div>
        {may("operate") && <Messages charger={evse.charger} zone={building.zone} />}
      </div>
    </>
  );
}

function Why({ evse }: { evse: Evse }) {
  const words = texts.evse;
  const target = evse.target_a !== null && evse.target_a !== evse.setpoint_a ? words.target(amps(evse.target_a)) : "";
  return (
    <Card title={words.why} class="why">
      <p class="why-reason">{evse.reason ?? words.noReason}</p>
      {!evse.trusted && (
        <p>
          <Chip tone="bad" icon="alerts">
            {words.untrusted}
          </Chip>
        </p>
      )}
      <Stats>
        <Stat name={words.draws} value={amps(evse.measured_a)} />
        <Stat name={words.limit} value={amps(evse.setpoint_a)} note={target} />
        <Stat
          name={words.inForce}
          value={amps(evse.in_force_a)}
          note={evse.confirmed ? words.confirmed : words.unconfirmed}
        />
        <Stat name={words.counted} value={amps(evse.counted_a)} />
      </Stats>
    </Card>
  );
}

