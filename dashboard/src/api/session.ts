/** Who the service takes this browser for. The login is a cookie that scripts cannot read; `csrf` is its second half. */
import { computed, signal } from "@preact/signals";
import type { components } from "./schema";

type Me = components["schemas"]["Me"];
export type Permission = components["schemas"]["Permission"];

/** undefined: not asked yet; null: nobody. */
export const me = signal<Me | null | undefined>(undefined);
export const csrf = computed(() => me.value?.csrf ?? null);

/** Whether the caller's role includes a permission; what it does not is not offered. */
export function may(permission: Permission): boolean {
  return me.value?.permissions.includes(permission) ?? false;
}

/** A request was refused for want of a login: the page asks for one. */
export function signedOut(): void {
  me.value = null;
}
