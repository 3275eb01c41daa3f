/** Light or dark: as the system has it, unless one of both was chosen. */

import { useEffect, useState } from "preact/hooks";

export type Theme = "light" | "dark";
export type Choice = Theme | "system";

const KEPT = "isobar-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

export function themeChoice(): Choice {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

/** What is shown now. */
export function theme(): Theme {
  const choice = themeChoice();
  if (choice !== "system") return choice;
  return dark.matches ? "dark" : "light";
}

function apply(): void {
  document.documentElement.dataset["theme"] = theme();
  for (const listener of [...listeners]) listener();
}

export function chooseTheme(choice: Choice): void {
  try {
    if (choice === "system") localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, choice);
  } catch {
    // Without a place to keep it, the choice is not made.
  }
  apply();
}

export function startTheme(): void {
  dark.addEventListener("change", apply);
  apply();
}

/** What is shown; whoever uses it is drawn anew when that changes. */
export function useTheme(): Theme {
  const [shown, setShown] = useState(theme);
  useEffect(() => {
    const listener = () => setShown(theme());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return shown;
}

/** A colour of the style sheet, such as `--accent`, as it is now: for what is drawn by script. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
