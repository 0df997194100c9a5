/** Every English text of the page. One file for each screen; nothing of the page's words stands anywhere else. */
import { alerts } from "./alerts";
import { analysis } from "./analysis";
import { common } from "./common";
import { driver } from "./driver";
import { evse } from "./evse";
import { limits } from "./limits";
import { login } from "./login";
import { meters } from "./meters";
import { nav } from "./nav";
import { sessions } from "./sessions";
import { settings } from "./settings";
import { site } from "./site";
import { states } from "./states";
import { timeline } from "./timeline";

export const texts = {
  alerts,
  analysis,
  common,
  driver,
  evse,
  limits,
  login,
  meters,
  nav,
  sessions,
  settings,
  site,
  states,
  timeline,
};
