/** What the charger, its CSMS and Headroom said to each other, newest first. */
import { useState } from "preact/hooks";
import { api, type Schemas, told } from "../../api/client";
import { usePaged } from "../../components/asked";
import { Button, Card, Chip, Empty, Field, Loading, Problem, type Tone } from "../../components/parts";
import { texts } from "../../texts";
import { fullTime } from "../../time";

type Message = Schemas["MessageDocument"];
type Direction = Message["direction"];
const TONES: Record<Direction, Tone> = {
  from_charger: "good",
  to_charger: "warn",
  from_csms: "busy",
  to_csms: "warn",
};
const PAGE = 50;

export function Messages({ charger, zone }: { charger: string; zone: string }) {
  const words = texts.evse.messages;
  const [action, setAction] = useState("");
  const [direction, setDirection] = useState<Direction | "">("");
  const path = { charger };
  const query = { limit: PAGE, action: action.trim() || undefined, direction: direction || undefined };
  const found = usePaged(
    (cursor) =>
      told(api.GET("/api/v1/chargers/{charger}/messages", { params: { path, query: { ...query, cursor } } })),
    [charger, action, direction],
  );
  return (
    <Card title={words.title} actions={<Button onClick={found.again}>{words.again}</Button>}>
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
        }}
      >
        <Field label={words.action}>
          {(named) => (
            <input
              {...named}
              type="search"
              value={action}
              placeholder={words.allActions}
              onChange={(event) => {
                setAction(event.currentTarget.value);
              }}
            />
          )}
        </Field>
        <Field label={words.direction}>
          {(named) => (
            <select
              {...named}
              value={direction}
              onChange={(event) => {
                setDirection(event.currentTarget.value as Direction | "");
              }}
            >
              <option value="">{words.allDirections}</option>
              {(Object.entries(words.directions) as [Direction, string][]).map(([name, text]) => (
                <option key={name} value={name}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
      </form>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.items.length === 0 && (found.busy ? <Loading /> : <Empty />)}
      <ul class="messages">
        {found.items.map((message) => (
          <Row key={message.id} message={message} zone={zone} />
        ))}
      </ul>
      {found.more !== null && (
        <p class="card-foot">
          <Button onClick={found.more} disabled={found.busy}>
            {texts.common.more}
          </Button>
        </p>
      )}
    </Card>
  );
}

function Row({ message, zone }: { message: Message; zone: string }) {
  const words = texts.evse.messages;
  return (
    <li>
      <details>
        <summary>
          <time dateTime={message.at}>{fullTime(message.at, zone)}</time>
          <Chip tone={TONES[message.direction]}>{words.directions[message.direction]}</Chip>
          <span class="message-what">
            <strong>{message.action ?? words.unknownAction}</strong> {words.kinds[message.kind] ?? message.kind}
          </span>
          <span class="message-size">{message.size}</span>
        </summary>
        <pre tabIndex={0}>{message.payload === null ? words.noPayload : JSON.stringify(message.payload, null, 2)}</pre>
      </details>
    </li>
  );
}
