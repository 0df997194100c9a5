import { render } from "preact";
import { App } from "./app";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/parts.css";

const DRIVER = "/driver/";
// The service was renewed while this page was open: the screens that it knew have other names now.
addEventListener("vite:preloadError", () => {
  location.reload();
});

const root = document.getElementById("page");

/** A driver's phone loads the driver's view, and everybody else the frame with its screens. */
async function begin(place: Element): Promise<void> {
  if (!location.pathname.startsWith(DRIVER)) {
    render(<App />, place);
    return;
  }
  const { DriverView } = await import("./screens/driver/driver");
  render(<DriverView link={decodeURIComponent(location.pathname.slice(DRIVER.length))} />, place);
}

if (root !== null) void begin(root);
