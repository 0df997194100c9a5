export const nav = {
  main: "Screens",
  site: "Site",
  evse: "EVSE",
  timeline: "Timeline",
  sessions: "Sessions",
  meters: "Meters",
  alerts: "Alerts",
  limits: "Limits",
  analysis: "Analysis",
  settings: "Settings",
};
