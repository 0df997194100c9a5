/** What an EVSE's state is called. */
export const states: Record<string, string> = {
  unknown: "Unknown",
  available: "Free",
  preparing: "Plugged in",
  charging: "Charging",
  suspended_ev: "Car pauses",
  suspended_evse: "Paused",
  waiting: "Waiting",
  finishing: "Finishing",
  reserved: "Reserved",
  unavailable: "Out of service",
  faulted: "Fault",
  offline: "No connection",
};
