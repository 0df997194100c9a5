/** Numbers for people. */
export const NONE = "–";

/** 9 -> "9 A", 9.04 -> "9 A", 9.25 -> "9.3 A". */
export function amps(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : `${tenth(value)} A`;
}

export function kwh(value: number | null | undefined): string {
  return value === null || value === undefined ? NONE : `${value.toFixed(value < 10 ? 2 : 1)} kWh`;
}

export function percent(fraction: number | null | undefined): string {
  return fraction === null || fraction === undefined ? NONE : `${Math.round(fraction * 100)} %`;
}

/** To a tenth, without a needless ".0" and without "-0". */
export function tenth(value: number): string {
  return (Math.round(value * 10) / 10 || 0).toFixed(1).replace(/\.0$/, "");
}

/** What somebody typed as a number: null where it is empty, undefined where it is none. A comma is taken for a point. */
export function numberOrNull(text: string): number | null | undefined {
  const trimmed = text.trim().replace(",", ".");
  if (trimmed === "") return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : undefined;
}
