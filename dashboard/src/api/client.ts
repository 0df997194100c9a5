/** The typed client: every call of the page goes through here. Types are made from the service's own description. */
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";
import { csrf, signedOut } from "./session";

export type Schemas = components["schemas"];

const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);

const guard: Middleware = {
  onRequest({ request }) {
    if (!SAFE.has(request.method) && csrf.value !== null) request.headers.set("X-CSRF-Token", csrf.value);
    return request;
  },
  onResponse({ response, schemaPath }) {
    if (response.status === 401 && schemaPath !== "/api/v1/login") signedOut();
  },
};

export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });
api.use(guard);

/** A request that was not served, in the service's own words (RFC 9457). `status` 0: nobody answered. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    detail: string,
  ) {
    super(detail);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's document, or an `ApiProblem`: `const site = await told(api.GET("/api/v1/sites/{site}", ...))`. */
export async function told<T>(call: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await call;
  } catch (error) {
    throw new ApiProblem(0, "No answer", error instanceof Error ? error.message : String(error));
  }
  if (answer.response.ok) return answer.data as T;
  const problem = (answer.error ?? {}) as Partial<Schemas["Problem"]>;
  const status = answer.response.status;
  throw new ApiProblem(status, problem.title ?? `Status ${status}`, problem.detail ?? answer.response.statusText);
}

/** Every item of a paged list, page after page, up to `most`: for lists that a screen needs whole. */
export async function all<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next: string | null }>,
  most = 5000,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const found = await page(cursor);
    items.push(...found.items);
    cursor = found.next ?? undefined;
  } while (cursor !== undefined && items.length < most);
  return items;
}
