/** What decides, what is known of chargers, who may do what, and who did. */
import { may } from "../../api/session";
import { Head, Loading } from "../../components/parts";
import { texts } from "../../texts";
import type { ScreenProps } from "../index";
import { Audit } from "./audit";
import { Control } from "./control";
import { QuirkRecord } from "./quirks";
import { Tokens } from "./tokens";
import "./settings.css";

export default function Settings({ building }: ScreenProps) {
  const site = building.site.value;
  if (site === null) return <Loading />;
  return (
    <>
      <Head title={texts.nav.settings} note={may("operate") ? undefined : texts.settings.readOnly} />
      <div class="stack">
        <Control building={building} site={site} />
        <QuirkRecord building={building} />
        {may("admin") && <Tokens building={building} />}
        {may("admin") && <Audit building={building} />}
      </div>
    </>
  );
}
