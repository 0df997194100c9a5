/** One event stream for a site. What comes is handed over once for each animation frame, so that drawing sets the pace. */
import { signal } from "@preact/signals";
import { NOTICE_NAMES, type Notice, type NoticeName } from "./notices";

export type Connection = "connecting" | "live" | "lost";

const OFTEN_MS = 250;
const RETRY_MS = 4000;

export class EventStream {
  readonly connection = signal<Connection>("connecting");
  private source: EventSource | null = null;
  private waiting: Notice[] = [];
  private handing = false;
  private again: ReturnType<typeof setTimeout> | undefined;

  /** `take` gets what came since the last frame. `begun` is called when a stream begins that does not know what came
   * before it; one that the browser resumes by itself does. */
  constructor(
    private readonly url: string,
    private readonly take: (notices: readonly Notice[]) => void,
    private readonly begun: () => void,
  ) {}

  open(): void {
    this.close();
    const source = new EventSource(this.url);
    this.source = source;
    let first = true;
    source.onopen = () => {
      this.connection.value = "live";
      if (first) this.begun();
      first = false;
    };
    source.onerror = () => {
      this.connection.value = "lost";
      // A browser comes back by itself with Last-Event-ID, but not after an answer that was no stream (401, 503).
      if (source.readyState === EventSource.CLOSED) {
        this.again = setTimeout(() => {
          this.open();
        }, RETRY_MS);
      }
    };
    for (const name of NOTICE_NAMES) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        this.came(name, event.data);
      });
    }
  }

  close(): void {
    clearTimeout(this.again);
    this.source?.close();
    this.source = null;
    this.waiting = [];
  }

  private came(name: NoticeName, data: string): void {
    this.waiting.push({ name, data: JSON.parse(data) as never });
    if (this.handing) return;
    this.handing = true;
    // A page in the background draws no frames, and yet must not pile up what comes.
    if (document.hidden) setTimeout(this.hand, OFTEN_MS);
    else requestAnimationFrame(this.hand);
  }

  private readonly hand = (): void => {
    this.handing = false;
    const notices = this.waiting;
    this.waiting = [];
    if (notices.length > 0) this.take(notices);
  };
}
