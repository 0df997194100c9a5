// Before anything is drawn: the theme that was chosen, where it is not the system's.
try {
  const theme = localStorage.getItem("headroom.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system's theme it is.
}
