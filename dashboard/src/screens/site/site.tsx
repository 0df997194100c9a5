/** The site at a glance: figures, the one-line diagram, and what changed last. */
import { Card, Chip, Head, Loading, Problem } from "../../components/parts";
import { Icon } from "../../components/icon";
import { hrefTo } from "../../router";
import { texts } from "../../texts";
import type { ScreenProps } from "..";
import { Diagram, Legend } from "./diagram";
import { Latest } from "./latest";
import "./site.css";
import { Summary } from "./summary";

export default function SiteScreen({ building }: ScreenProps) {
  const site = building.site.value;
  if (site === null) {
    return building.problem.value === null ? (
      <Loading />
    ) : (
      <Problem problem={building.problem.value} retry={() => void building.load()} />
    );
  }
  const alarms = building.alarms.value;
  return (
    <>
      <Head
        title={site.id}
        note={
          <>
            <Chip tone="plain">{site.strategy}</Chip> <Chip tone="plain">{texts.site.scheduler(site.scheduler)}</Chip>
          </>
        }
      />
      {alarms.length > 0 && (
        <a class="note tone-bad site-alarms" href={hrefTo(building.id, "/alerts")}>
          <Icon name="alerts" />
          <span>
            <strong>{texts.site.alarms(alarms.length)}</strong> {alarms[0]?.text}
          </span>
          <Icon name="next" size={18} />
        </a>
      )}
      <Summary building={building} />
      <div class="site-columns">
        <Card title={texts.site.diagram} actions={<Legend />}>
          <Diagram building={building} />
        </Card>
        <Latest building={building} />
      </div>
    </>
  );
}
