/** The screens, at the left on a wide window and at the bottom on a phone. */
import { may } from "../api/session";
import { Icon } from "../components/icon";
import type { Building } from "../live/building";
import { hrefTo } from "../router";
import { type Screen, SCREENS } from "../screens";
import { texts } from "../texts";

export function Navigation({ building, screen }: { building: Building; screen: Screen | null }) {
  const alarms = building.alarms.value.length;
  return (
    <nav class="navigation" aria-label={texts.nav.main}>
      <ul>
        {SCREENS.filter((one) => one.icon !== undefined && may(one.permission)).map((one) => (
          <li key={one.path}>
            <a href={hrefTo(building.id, one.path)} aria-current={one === screen ? "page" : undefined}>
              {one.icon !== undefined && <Icon name={one.icon} />}
              <span>{one.title}</span>
              {one.path === "/alerts" && alarms > 0 && <span class="count">{alarms}</span>}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
