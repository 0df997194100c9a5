/** Light, dark, or as the system has it. theme.js applies the choice before anything is drawn. */
import { signal } from "@preact/signals";
import { Icon, type IconName } from "../components/icon";
import { texts } from "../texts";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const ICONS: Record<Theme, IconName> = { system: "auto", light: "sun", dark: "moon" };
const KEY = "headroom.theme";

const chosen = document.documentElement.dataset.theme;
export const theme = signal<Theme>(chosen === "light" || chosen === "dark" ? chosen : "system");

function choose(next: Theme): void {
  theme.value = next;
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    // No storage: the choice holds for this page.
  }
}

export function ThemeSwitch() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  const label = `${texts.common.theme.label}: ${texts.common.theme[theme.value]}`;
  return (
    <button
      class="bar-button"
      type="button"
      title={label}
      onClick={() => {
        choose(next);
      }}
    >
      <Icon name={ICONS[theme.value]} />
      <span class="visually-hidden">{label}</span>
    </button>
  );
}
