/** The frame around every screen: navigation, site, connection, theme; and the login where the service asks for one. */
import { computed, signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { all, api, type Schemas, told } from "./api/client";
import { may, me } from "./api/session";
import { Problem } from "./components/parts";
import { Bar } from "./frame/bar";
import { Navigation } from "./frame/navigation";
import { Building } from "./live/building";
import { go, hrefTo, match, place } from "./router";
import { type Screen, type ScreenProps, SCREENS } from "./screens";
import { Login } from "./screens/login/login";
import { texts } from "./texts";

const sites = signal<readonly Schemas["SiteSummary"][] | null>(null);
const problem = signal<unknown>(null);
const building = signal<Building | null>(null);

const opened = computed(() => {
  for (const screen of SCREENS) {
    const params = match(screen.path, place.value.path);
    if (params !== null) return { screen, params };
  }
  return null;
});

async function begin(): Promise<void> {
  try {
    problem.value = null;
    const found = await api.GET("/api/v1/me");
    if (found.response.status === 401) return;
    me.value = await told(Promise.resolve(found));
    sites.value = await all((cursor) => told(api.GET("/api/v1/sites", { params: { query: { cursor } } })));
  } catch (error) {
    problem.value = error;
  }
}

export function App() {
  useEffect(() => void begin(), []);
  if (me.value === null) return <Login entered={() => void begin()} />;
  if (problem.value !== null)
    return (
      <main class="alone">
        <Problem problem={problem.value} retry={() => void begin()} />
      </main>
    );
  if (sites.value === null) return null;
  return <Frame sites={sites.value} />;
}

function Frame({ sites: known }: { sites: readonly Schemas["SiteSummary"][] }) {
  const wanted = place.value.site;
  const site = known.find((one) => one.id === wanted)?.id ?? null;
  const first = known[0]?.id;
  useEffect(() => {
    if (site === null && first !== undefined) go(hrefTo(first));
  }, [site, first]);
  useEffect(() => {
    if (site === null) return;
    const now = new Building(site);
    building.value = now;
    now.start();
    return () => {
      now.stop();
      building.value = null;
    };
  }, [site]);
  if (first === undefined) return <main class="alone">{texts.common.nothing}</main>;
  const now = building.value;
  if (now === null || site === null) return null;
  return (
    <>
      <a class="skip" href="#content" onClick={skip}>
        {texts.common.skip}
      </a>
      <Bar building={now} sites={known} />
      <Navigation building={now} screen={opened.value?.screen ?? null} />
      <main id="content" tabIndex={-1}>
        {opened.value === null ? (
          <p class="empty">{texts.common.notFound}</p>
        ) : (
          <Opened key={opened.value.screen.path} building={now} {...opened.value} />
        )}
      </main>
    </>
  );
}

function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

/** The first screen is where the browser itself puts whoever opens the page. */
let arrived = true;
const loaded = signal<ReadonlyMap<Screen, ComponentType<ScreenProps>>>(new Map());

function Opened({ building: now, screen, params }: { building: Building; screen: Screen; params: ScreenProps["params"] }) {
  const Component = loaded.value.get(screen);
  useEffect(() => {
    document.title = `${screen.title} · ${now.id} · ${texts.common.product}`;
    if (loaded.peek().has(screen)) return;
    screen.load().then(
      (module) => {
        loaded.value = new Map(loaded.peek()).set(screen, module.default);
      },
      (error: unknown) => {
        problem.value = error;
      },
    );
  }, [screen, now]);
  useEffect(() => {
    if (Component === undefined) return;
    // Whoever follows a link with the keyboard or a screen reader goes on at the new screen's title.
    if (!arrived) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    arrived = false;
  }, [Component, params]);
  if (!may(screen.permission)) return <p class="empty">{texts.common.notAllowed}</p>;
  return Component === undefined ? null : <Component building={now} params={params} query={place.value.query} />;
}
