/** When the car leaves and how much it is to get. */
import { useState } from "preact/hooks";
import { api, told } from "../../api/client";
import { NumberInput, TimeInput } from "../../components/inputs";
import { Button, Card, Problem } from "../../components/parts";
import { numberOrNull } from "../../format";
import { texts } from "../../texts";
import { fieldOf, instantOf } from "../../zoned";
import type { Seen } from "./driver";

export function Wishes({ link, seen, changed }: { link: string; seen: Seen; changed: (seen: Seen) => void }) {
  const words = texts.driver;
  const zone = seen.timezone;
  const [leaves, setLeaves] = useState(seen.departure_at === null ? "" : fieldOf(Date.parse(seen.departure_at), zone));
  const [wanted, setWanted] = useState(seen.energy_wanted_kwh === null ? "" : String(seen.energy_wanted_kwh));
  const [said, setSaid] = useState<"" | "busy" | "saved">("");
  const [problem, setProblem] = useState<unknown>(null);
  const kWh = numberOrNull(wanted);
  const save = async (event: Event) => {
    event.preventDefault();
    if (kWh === undefined) return;
    setSaid("busy");
    setProblem(null);
    try {
      const body = { departure_at: instantOf(leaves, zone), energy_wanted_kwh: kWh };
      changed(await told(api.PATCH("/api/v1/driver/{link}", { params: { path: { link } }, body })));
      setSaid("saved");
    } catch (error) {
      setProblem(error);
      setSaid("");
    }
  };
  return (
    <Card title={words.wishes}>
      <form class="stack" onSubmit={(event) => void save(event)}>
        <TimeInput
          label={words.departure}
          hint={words.departureHint}
          value={leaves}
          min={fieldOf(Date.parse(seen.at), zone)}
          typed={(value) => {
            setLeaves(value);
            setSaid("");
          }}
        />
        <NumberInput
          label={words.wanted}
          hint={words.wantedHint}
          value={wanted}
          error={kWh === undefined ? words.notANumber : undefined}
          typed={(value) => {
            setWanted(value);
            setSaid("");
          }}
        />
        {problem !== null && <Problem problem={problem} />}
        <Button type="submit" look="main" disabled={said === "busy"}>
          {words.save}
        </Button>
        <p role="status" class="driver-saved">
          {said === "saved" ? words.saved : ""}
        </p>
      </form>
    </Card>
  );
}
