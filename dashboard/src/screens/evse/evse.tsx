import { Head } from "../../components/parts";
import type { ScreenProps } from "..";

export default function EvseScreen({ params }: ScreenProps) {
  return <Head title={params.evse} />;
}
