/** Every screen below a site: its path, its name, who may see it, and its code, which is loaded when it is opened. */
import type { ComponentType } from "preact";
import type { Permission } from "../api/session";
import type { IconName } from "../components/icon";
import type { Building } from "../live/building";
import type { Params } from "../router";
import { texts } from "../texts";

export interface ScreenProps {
  building: Building;
  params: Params;
  query: URLSearchParams;
}

export interface Screen {
  path: string;
  title: string;
  permission: Permission;
  load: () => Promise<{ default: ComponentType<ScreenProps> }>;
  /** Shown in the navigation, in this order; without it the screen is reached from another one. */
  icon?: IconName;
}

export const SCREENS: readonly Screen[] = [
  {
    path: "",
    title: texts.nav.site,
    permission: "site",
    icon: "site",
    load: () => import("./site/site"),
  },
  {
    path: "/evses/:evse",
    title: texts.nav.evse,
    permission: "read",
    load: () => import("./evse/evse"),
  },
  {
    path: "/timeline",
    title: texts.nav.timeline,
    permission: "read",
    icon: "timeline",
    load: () => import("./timeline/timeline"),
  },
  {
    path: "/sessions",
    title: texts.nav.sessions,
    permission: "read",
    icon: "sessions",
    load: () => import("./sessions/sessions"),
  },
  {
    path: "/meters",
    title: texts.nav.meters,
    permission: "site",
    icon: "meters",
    load: () => import("./meters/meters"),
  },
  {
    path: "/alerts",
    title: texts.nav.alerts,
    permission: "read",
    icon: "alerts",
    load: () => import("./alerts/alerts"),
  },
  {
    path: "/limits",
    title: texts.nav.limits,
    permission: "site",
    icon: "limits",
    load: () => import("./limits/limits"),
  },
  {
    path: "/analysis",
    title: texts.nav.analysis,
    permission: "read",
    icon: "analysis",
    load: () => import("./analysis/analysis"),
  },
  {
    path: "/settings",
    title: texts.nav.settings,
    permission: "read",
    icon: "settings",
    load: () => import("./settings/settings"),
  },
];
