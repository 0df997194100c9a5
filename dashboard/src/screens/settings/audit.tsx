/** The audit trail: every write, who made it, and how it was answered. */
import { api, told } from "../../api/client";
import { usePaged } from "../../components/asked";
import { Button, Card, Empty, Loading, Problem } from "../../components/parts";
import { Table } from "../../components/table";
import type { Building } from "../../live/building";
import { texts } from "../../texts";
import { fullTime } from "../../time";

const t = texts.settings;

export function Audit({ building }: { building: Building }) {
  const found = usePaged(
    (cursor) => told(api.GET("/api/v1/audit", { params: { query: { cursor, limit: 20 } } })),
    [building.id],
  );
  return (
    <Card title={t.audit}>
      {found.problem !== undefined && <Problem problem={found.problem} retry={found.again} />}
      {found.items.length === 0 && found.problem === undefined && (found.busy ? <Loading /> : <Empty>{t.noAudit}</Empty>)}
      {found.items.length > 0 && (
        <Table
          caption={t.auditCaption}
          rows={found.items}
          id={(one) => one.id}
          columns={[
            { name: t.at, cell: (one) => <time dateTime={one.at}>{fullTime(one.at, building.zone)}</time> },
            { name: t.who, cell: (one) => one.name },
            { name: t.what, cell: (one) => <code class="path">{`${one.method} ${one.path}`}</code> },
            { name: t.answer, number: true, cell: (one) => one.status },
          ]}
        />
      )}
      {found.more !== null && (
        <Button onClick={found.more} disabled={found.busy}>
          {texts.common.more}
        </Button>
      )}
    </Card>
  );
}
