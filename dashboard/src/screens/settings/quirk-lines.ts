/** Quirks as lines of text, and back. */
export interface Line {
  quirk: string;
  value: string;
}

/** A text stands as it is, everything else as JSON has it. */
export function lines(quirks: Readonly<Record<string, unknown>>): Line[] {
  return Object.entries(quirks).map(([quirk, value]) => ({
    quirk,
    value: typeof value === "string" ? value : JSON.stringify(value),
  }));
}

/** Lines without a name are left out; what is not JSON is a text. The service says what a quirk may be. */
export function written(typed: readonly Line[]): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { quirk, value } of typed) if (quirk.trim() !== "") found[quirk.trim()] = read(value.trim());
  return found;
}

function read(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
