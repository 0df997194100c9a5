import { Head, Loading } from "../../components/parts";
import { texts } from "../../texts";
import type { ScreenProps } from "..";

export default function SiteScreen({ building }: ScreenProps) {
  if (building.site.value === null) return <Loading />;
  return <Head title={texts.nav.site} />;
}
