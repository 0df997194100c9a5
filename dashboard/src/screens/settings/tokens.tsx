/** API tokens: made (shown once), listed, revoked. */
import { useState } from "preact/hooks";
import { all, api, type Schemas, told } from "../../api/client";
import { useAsked } from "../../components/asked";
import { Button, Card, Chip, Empty, Loading, Problem } from "../../components/parts";
import { Table } from "../../components/table";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { clockTime, now } from "../../time";
import { NewToken } from "./new-token";

type Token = Schemas["TokenDocument"];

const t = texts.settings;

export function Tokens({ building }: { building: Building }) {
  const found = useAsked(
    () => all((cursor) => told(api.GET("/api/v1/tokens", { params: { query: { cursor } } }))),
    [building.id],
  );
  const tokens = found.data ?? [];
  return (
    <Card title={t.tokens}>
      <p class="soft">{t.tokensNote}</p>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.data === undefined && found.problem === undefined && <Loading />}
      {found.data !== undefined && tokens.length === 0 && <Empty>{t.noTokens}</Empty>}
      {tokens.length > 0 && (
        <Table
          caption={t.caption}
          rows={tokens.slice().reverse()}
          id={(one) => one.id}
          columns={[
            { name: t.name, cell: (one) => one.name },
            { name: t.role, cell: (one) => t.roleNames[one.role] ?? one.role },
            { name: t.scope, cell: scope },
            { name: t.made, cell: (one) => clockTime(one.created_at, building.zone) },
            { name: t.ends, cell: (one) => (one.expires_at === null ? t.never : clockTime(one.expires_at, building.zone)) },
            { name: t.state, cell: (one) => <State token={one} /> },
            { name: t.revoke, cell: (one) => (ended(one) ? null : <Revoke token={one} done={found.again} />) },
          ]}
        />
      )}
      <NewToken building={building} made={found.again} />
    </Card>
  );
}

function scope(token: Token): string {
  const sites = token.sites === null ? t.everywhere : token.sites.join(", ");
  return token.evses === null ? sites : `${sites}: ${token.evses.join(", ")}`;
}

function ended(token: Token): boolean {
  return token.revoked_at !== null || (token.expires_at !== null && Date.parse(token.expires_at) <= now.value);
}

function State({ token }: { token: Token }) {
  if (token.revoked_at !== null)
    return (
      <Chip tone="mute" icon="cross">
        {t.revoked}
      </Chip>
    );
  return ended(token) ? (
    <Chip tone="mute" icon="clock">
      {t.expired}
    </Chip>
  ) : (
    <Chip tone="good" icon="check">
      {t.holds}
    </Chip>
  );
}

function Revoke({ token, done }: { token: Token; done: () => void }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<unknown>(undefined);
  if (problem !== undefined) return <Problem problem={problem} />;
  if (!asking)
    return (
      <Button look="quiet" aria-label={t.revokeLabel(token.name)} onClick={() => { setAsking(true); }}>
        {t.revoke}
      </Button>
    );
  const revoke = () => {
    told(api.DELETE("/api/v1/tokens/{token}", { params: { path: { token: token.id } } })).then(done, (error: unknown) => {
      setProblem(error);
    });
  };
  return (
    <span class="row">
      <span>{t.sure}</span>
      <Button look="danger" onClick={revoke}>
        {t.revoke}
      </Button>
      <Button look="quiet" onClick={() => { setAsking(false); }}>
        {texts.common.cancel}
      </Button>
    </span>
  );
}
