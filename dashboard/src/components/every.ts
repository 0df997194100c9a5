/** Does something again and again while the screen is open and seen. */
import { useEffect } from "preact/hooks";

export function useEvery(ms: number, act: () => void, on = true): void {
  useEffect(() => {
    if (!on) return;
    const timer = setInterval(() => {
      if (!document.hidden) act();
    }, ms);
    return () => {
      clearInterval(timer);
    };
  }, [ms, act, on]);
}
