/** The bar at the top: product, site, time and connection, theme, who is logged in. */
import { api, type Schemas } from "../api/client";
import { me, signedOut } from "../api/session";
import { Icon } from "../components/icon";
import type { Building } from "../live/building";
import { go, hrefTo } from "../router";
import { texts } from "../texts";
import { clockTime, now } from "../time";
import { ThemeSwitch } from "./theme";

export function Bar({ building, sites }: { building: Building; sites: readonly Schemas["SiteSummary"][] }) {
  return (
    <header class="bar">
      <a class="brand" href={hrefTo(building.id)}>
        <img src="/favicon.svg" alt="" width="26" height="26" />
        {texts.common.product}
      </a>
      {sites.length > 1 ? (
        <select
          class="site-choice"
          aria-label={texts.common.chooseSite}
          value={building.id}
          onChange={(event) => {
            go(hrefTo(event.currentTarget.value));
          }}
        >
          {sites.map((site) => (
            <option key={site.id} value={site.id}>
              {site.id}
            </option>
          ))}
        </select>
      ) : (
        <span class="site-name">{building.id}</span>
      )}
      <span class="bar-space" />
      <Live building={building} />
      <ThemeSwitch />
      {me.value?.via === "page" && (
        <button class="bar-button" type="button" title={me.value.name} onClick={() => void logOut()}>
          <Icon name="logout" />
          <span class="visually-hidden">{texts.common.signOut}</span>
        </button>
      )}
    </header>
  );
}

function Live({ building }: { building: Building }) {
  const state = building.stream.connection.value;
  return (
    <span class={`live live-${state}`}>
      <span class="live-dot" aria-hidden="true" />
      <span role="status">{texts.common.live[state]}</span>
      {building.site.value !== null && <time class="live-time">{clockTime(now.value, building.zone)}</time>}
    </span>
  );
}

async function logOut(): Promise<void> {
  await api.POST("/api/v1/logout").catch(() => undefined);
  signedOut();
}
