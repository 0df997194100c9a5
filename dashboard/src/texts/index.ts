/** Every English text of the page. One file for each screen; nothing of the page's words stands anywhere else. */
import { common } from "./common";
import { driver } from "./driver";
import { evse } from "./evse";
import { login } from "./login";
import { nav } from "./nav";
import { site } from "./site";
import { states } from "./states";

export const texts = { common, driver, evse, login, nav, site, states };
