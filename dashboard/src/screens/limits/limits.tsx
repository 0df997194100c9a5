/** Restrictions on panels: insert one with its effect seen before, and lift one. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { may } from "../../api/session";
import { Button, Card, Chip, Empty, Head, Loading, Problem } from "../../components/parts";
import { amps } from "../../format";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { clockTime, now } from "../../time";
import type { ScreenProps } from "../index";
import { Insert } from "./insert";
import "./limits.css";

type Limit = Schemas["LimitDocument"];

export default function Limits({ building }: ScreenProps) {
  const [told_, setTold] = useState("");
  const limits = building.limits.value;
  const over = (one: Limit) => one.until !== null && Date.parse(one.until) <= now.value;
  const standing = limits.filter((one) => !over(one));
  const past = limits.filter(over);
  if (building.site.value === null) return <Loading />;
  return (
    <>
      <Head title={texts.nav.limits} />
      <p role="status" class={told_ === "" ? "visually-hidden" : "note tone-good"}>
        {told_}
      </p>
      <div class="stack">
        <Card title={texts.limits.standing}>
          {standing.length === 0 ? (
            <Empty>{texts.limits.none}</Empty>
          ) : (
            <ul class="limit-list">
              {standing.map((one) => (
                <Row
                  key={one.id}
                  building={building}
                  limit={one}
                  lifted={() => {
                    setTold(texts.limits.lifted);
                  }}
                />
              ))}
            </ul>
          )}
        </Card>
        {may("limit") && (
          <Insert
            building={building}
            saved={() => {
              setTold(texts.limits.saved);
            }}
          />
        )}
        {past.length > 0 && (
          <Card title={texts.limits.past}>
            <ul class="limit-list">
              {past.map((one) => (
                <Row key={one.id} building={building} limit={one} />
              ))}
            </ul>
          </Card>
        )}
      </div>
    </>
  );
}

function Row({ building, limit, lifted }: { building: Building; limit: Limit; lifted?: () => void }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<unknown>(undefined);
  const lift = () => {
    const path = { site: building.id, limit: limit.id };
    told(api.DELETE("/api/v1/sites/{site}/limits/{limit}", { params: { path } })).then(
      () => {
        lifted?.();
      },
      (error: unknown) => {
        setProblem(error);
      },
    );
  };
  const zone = building.zone;
  const until = limit.until === null ? texts.limits.open : clockTime(limit.until, zone);
  return (
    <li class="limit">
      <div>
        <div class="limit-head">
          <strong>{limit.feeder}</strong>
          <span class="limit-size">{amps(limit.limit_a)}</span>
          <State limit={limit} past={lifted === undefined} />
        </div>
        <p>{limit.reason}</p>
        <p class="soft">
          {texts.limits.span(clockTime(limit.from, zone), until)} · {texts.limits.by(limit.author)}
        </p>
        {problem !== undefined && <Problem problem={problem} />}
      </div>
      {lifted !== undefined && may("limit") && (
        <div class="limit-actions">
          {asking ? (
            <>
              <span>{texts.limits.sure}</span>
              <Button look="danger" onClick={lift}>
                {texts.limits.lift}
              </Button>
              <Button
                look="quiet"
                onClick={() => {
                  setAsking(false);
                }}
              >
                {texts.common.cancel}
              </Button>
            </>
          ) : (
            <Button
              aria-label={texts.limits.liftLabel(limit.feeder)}
              onClick={() => {
                setAsking(true);
              }}
            >
              {texts.limits.lift}
            </Button>
          )}
        </div>
      )}
    </li>
  );
}

function State({ limit, past }: { limit: Limit; past: boolean }) {
  if (past)
    return (
      <Chip tone="mute" icon="check">
        {texts.limits.over}
      </Chip>
    );
  // The list is told when a limit is set or lifted, not when its time comes; the page's clock may be a moment behind.
  return limit.in_force || Date.parse(limit.from) <= now.value ? (
    <Chip tone="warn" icon="lock">
      {texts.limits.inForce}
    </Chip>
  ) : (
    <Chip tone="busy" icon="clock">
      {texts.limits.toCome}
    </Chip>
  );
}
