/** A site as it is now: loaded once, then kept by the event stream. Each EVSE and each feeder is a signal of its own, so
 * that what changes is drawn and nothing else. */
import { batch, computed, signal, type Signal } from "@preact/signals";
import { all, api, ApiProblem, type Schemas, told } from "../api/client";
import { signedOut } from "../api/session";
import { now, serviceTold } from "../time";
import { type Bindings, bindingsOf, sameBindings } from "./bindings";
import { EventStream } from "./events";
import { limitsInForce } from "./limits";
import { type FeederLoad, feederLoads } from "./loads";
import type { DecisionNotice, EvseNotice, FeederNotice, Notice, NoticeName, Notices } from "./notices";

export type Evse = Schemas["EvseDocument"];
export type Listener = (notice: Notice) => void;

const RECENT = 50;
const NO_LIMITS: ReadonlyMap<string, number> = new Map();

export class Building {
  readonly site = signal<Schemas["SiteDocument"] | null>(null);
  /** In the order of the site file. */
  readonly order = signal<readonly string[]>([]);
  readonly feeders = new Map<string, Signal<FeederLoad>>();
  readonly alarms = signal<readonly Schemas["AlarmDocument"][]>([]);
  readonly limits = signal<readonly Schemas["LimitDocument"][]>([]);
  /** The newest decisions that changed something since the page was opened, newest first. */
  readonly decisions = signal<readonly DecisionNotice[]>([]);
  /** The lowest temporary limit in force on each feeder, in A per phase. */
  readonly limited = computed(() => {
    const limits = this.limits.value;
    return limits.length === 0 ? NO_LIMITS : limitsInForce(limits, now.value);
  });
  /** How many cars each phase of each feeder holds back. */
  readonly bindings = signal<Bindings>(new Map());
  readonly problem = signal<ApiProblem | null>(null);
  readonly stream: EventStream;

  private readonly evses = new Map<string, Signal<Evse>>();
  private readonly listeners = new Set<Listener>();
  private readonly stale = new Set<string>();
  private loading = false;
  private held: Notice[] = [];

  constructor(readonly id: string) {
    this.stream = new EventStream(
      `/api/v1/sites/${encodeURIComponent(id)}/events`,
      (notices) => {
        this.take(notices);
      },
      () => void this.load(),
    );
  }

  get zone(): string {
    return this.site.value?.timezone ?? "UTC";
  }

  start(): void {
    this.stream.open();
    void this.load();
  }

  stop(): void {
    this.stream.close();
  }

  /** The EVSE's signal; undefined where the site has none of that name, or is not loaded yet. */
  evse(id: string): Signal<Evse> | undefined {
    return this.evses.get(id);
  }

  /** Every notice from now on, once a frame; the answer ends it. For what no signal here holds (sessions, say). */
  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Everything anew. */
  async load(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    const path = { site: this.id };
    try {
      const [site, evses, limits] = await Promise.all([
        told(api.GET("/api/v1/sites/{site}", { params: { path } })),
        all((cursor) => told(api.GET("/api/v1/sites/{site}/evses", { params: { path, query: { cursor } } }))).catch(
          withoutCars,
        ),
        told(api.GET("/api/v1/sites/{site}/limits", { params: { path } })),
      ]);
      batch(() => {
        this.problem.value = null;
        this.limits.value = limits.items;
        for (const evse of evses) this.put(evse);
        this.order.value = evses.map((evse) => evse.id);
        this.site.value = site;
        for (const feeder of site.feeders) this.putFeeder({ ...feeder, phases: { ...feeder.phases } });
        this.countAgain();
        this.bindAgain();
      });
      void this.loadAlarms();
    } catch (error) {
      this.problem.value = error instanceof ApiProblem ? error : new ApiProblem(0, "", String(error));
      if (this.problem.value.status === 401) signedOut();
    } finally {
      this.loading = false;
      const held = this.held;
      this.held = [];
      if (held.length > 0) this.take(held);
    }
  }

  private async loadAlarms(): Promise<void> {
    const query = { standing: true };
    const found = await told(
      api.GET("/api/v1/sites/{site}/alarms", { params: { path: { site: this.id }, query } }),
    ).catch(() => null);
    if (found !== null) this.alarms.value = found.items;
  }

  private async loadLimits(): Promise<void> {
    const found = await told(api.GET("/api/v1/sites/{site}/limits", { params: { path: { site: this.id } } })).catch(
      () => null,
    );
    if (found !== null) this.limits.value = found.items;
  }

  private take(notices: readonly Notice[]): void {
    if (this.loading) {
      this.held.push(...notices);
      return;
    }
    batch(() => {
      const seen = new Set<NoticeName>();
      for (const notice of notices) {
        seen.add(notice.name);
        this.apply(notice);
      }
      if (seen.has("evse")) this.countAgain();
      if (seen.has("decision")) this.bindAgain();
      if (seen.has("alarm")) void this.loadAlarms();
      if (seen.has("limit")) void this.loadLimits();
      if (seen.has("reset")) void this.load();
      for (const notice of notices) for (const listener of this.listeners) listener(notice);
    });
    void this.lookAgain();
  }

  private apply(notice: Notice): void {
    switch (notice.name) {
      case "time":
        serviceTold(notice.data.at);
        break;
      case "evse":
        this.evseChanged(notice.data);
        break;
      case "feeder":
        this.feederChanged(notice.data);
        break;
      case "decision":
        this.decided(notice.data);
        break;
      case "session":
        this.stale.add(notice.data.evse);
        break;
      case "site":
        this.siteChanged(notice.data);
        break;
      default:
        break;
    }
  }

  private evseChanged(told: EvseNotice): void {
    const known = this.evses.get(told.id);
    if (known === undefined) return;
    const { id, transaction_id, energy_kwh, ...rest } = told;
    const before = known.peek();
    // A car came or went: its session has more than a notice tells.
    if (transaction_id !== (before.session?.transaction_id ?? null)) this.stale.add(id);
    const session =
      before.session === null || energy_kwh === null ? before.session : { ...before.session, energy_kwh };
    known.value = { ...before, ...rest, session };
  }

  private feederChanged(told: FeederNotice): void {
    const known = this.feeders.get(told.id);
    if (known === undefined) return;
    const before = known.peek();
    const phases: FeederLoad["phases"] = {};
    for (const [phase, load] of Object.entries(before.phases) as ["A" | "B" | "C", Schemas["PhaseLoad"]][]) {
      const base_load_a = told.base_load_a[phase] ?? 0;
      const planned_base_a = told.planned_base_a[phase] ?? base_load_a;
      phases[phase] = { ...load, base_load_a, planned_base_a, headroom_a: load.usable_a - base_load_a - load.ev_a };
    }
    known.value = { ...before, source: told.source, reading_at: told.reading_at, phases };
  }

  private decided(told: DecisionNotice): void {
    for (const point of [...told.changed, ...told.explained]) {
      const { evse, limit_a, target_a, kind, text, feeder, phase, place, next_turn_at } = point;
      const known = this.evses.get(evse);
      if (known === undefined) continue;
      known.value = {
        ...known.peek(),
        setpoint_a: limit_a,
        target_a,
        reason: text,
        reason_kind: kind,
        reason_feeder: feeder,
        reason_phase: phase,
        place,
        next_turn_at,
      };
    }
    if (told.changed.length > 0) this.decisions.value = [told, ...this.decisions.peek()].slice(0, RECENT);
  }

  private siteChanged(told: Notices["site"]): void {
    const before = this.site.peek();
    if (before !== null) this.site.value = { ...before, ...told };
  }

  /** The EVSEs below each feeder, added up anew. */
  private countAgain(): void {
    const evses = [...this.evses.values()].map((one) => one.peek());
    const before = [...this.feeders.values()].map((one) => one.peek());
    for (const load of feederLoads(before, evses)) {
      const known = this.feeders.get(load.id);
      if (known !== undefined && known.peek() !== load) known.value = load;
    }
  }

  private bindAgain(): void {
    const found = bindingsOf([...this.evses.values()].map((one) => one.peek()));
    if (!sameBindings(found, this.bindings.peek())) this.bindings.value = found;
  }

  private async lookAgain(): Promise<void> {
    const stale = [...this.stale];
    this.stale.clear();
    await Promise.all(
      stale.map(async (evse) => {
        const found = await told(api.GET("/api/v1/evses/{evse}", { params: { path: { evse } } })).catch(() => null);
        if (found !== null) this.put(found);
      }),
    );
    if (stale.length > 0) this.bindAgain();
  }

  private put(evse: Evse): void {
    const known = this.evses.get(evse.id);
    if (known === undefined) this.evses.set(evse.id, signal(evse));
    else known.value = evse;
  }

  private putFeeder(load: FeederLoad): void {
    const known = this.feeders.get(load.id);
    if (known === undefined) this.feeders.set(load.id, signal(load));
    else known.value = load;
  }
}

/** A grid operator sees panels and no cars. */
function withoutCars(error: unknown): Evse[] {
  if (error instanceof ApiProblem && error.status === 403) return [];
  throw error;
}
