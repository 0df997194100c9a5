/** Asking the service from a component: what is asked, whether it is on its way, what came or what went wrong. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Asked<T> {
  data: T | undefined;
  problem: unknown;
  busy: boolean;
  again: () => void;
}

/** Asks at once, and anew when one of `inputs` changes; an answer that comes too late is dropped. */
export function useAsked<T>(ask: () => Promise<T>, inputs: readonly unknown[]): Asked<T> {
  const [state, setState] = useState<Omit<Asked<T>, "again">>({ data: undefined, problem: undefined, busy: true });
  const turn = useRef(0);
  const again = useCallback(() => {
    const mine = ++turn.current;
    setState((before) => ({ ...before, busy: true }));
    ask().then(
      (data) => {
        if (mine === turn.current) setState({ data, problem: undefined, busy: false });
      },
      (problem: unknown) => {
        if (mine === turn.current) setState((before) => ({ ...before, problem, busy: false }));
      },
    );
  }, inputs);
  useEffect(() => {
    again();
    return () => {
      turn.current++;
    };
  }, [again]);
  return { ...state, again };
}

export interface Paged<T> {
  items: readonly T[];
  problem: unknown;
  busy: boolean;
  /** Fetches the following page; null on the last. */
  more: (() => void) | null;
  again: () => void;
}

/** A paged list, a page at a time. `page` is asked with the cursor; anew from the first when one of `inputs` changes. */
export function usePaged<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next: string | null }>,
  inputs: readonly unknown[],
): Paged<T> {
  const [rest, setRest] = useState<{ items: T[]; next: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(undefined);
  const first = useAsked(() => {
    setRest(null);
    setProblem(undefined);
    return page(undefined);
  }, inputs);
  const next = rest === null ? (first.data?.next ?? null) : rest.next;
  const more = () => {
    if (next === null || busy) return;
    setBusy(true);
    page(next).then(
      (found) => {
        setRest({ items: [...(rest?.items ?? []), ...found.items], next: found.next });
        setBusy(false);
      },
      (error: unknown) => {
        setProblem(error);
        setBusy(false);
      },
    );
  };
  return {
    items: [...(first.data?.items ?? []), ...(rest?.items ?? [])],
    problem: first.problem ?? problem,
    busy: busy || first.busy,
    more: next === null ? null : more,
    again: first.again,
  };
}
