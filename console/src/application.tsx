/** The application that is looked at: its functions, topics and tables, and what it says of its board. */

import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect } from "preact/hooks";
import { type Answer, useAnswer } from "./answer";
import { getApplication, getDashboard } from "./api";
import { useLive } from "./live";
import type { Application, Dashboard } from "./types";

interface Known {
  application: Answer<Application>;
  dashboard: Answer<Dashboard | null>;
}

const Context = createContext<Known | null>(null);

export function ApplicationProvider({ children }: { children: ComponentChildren }) {
  const application = useAnswer(getApplication, []);
  const dashboard = useAnswer(getDashboard, []);
  const { pulses } = useLive();
  const versions = Object.entries(pulses.at(-1)?.functions ?? {}).map(([name, f]) => `${name} ${f.version}`).join("\n");
  // Another version may have other grants, topics and tables.
  useEffect(() => {
    if (versions && application.value) application.again();
  }, [versions]);
  return <Context.Provider value={{ application, dashboard }}>{children}</Context.Provider>;
}

function useKnown(): Known {
  const known = useContext(Context);
  if (!known) throw new Error("there is no application");
  return known;
}

export function useApplication(): Answer<Application> {
  return useKnown().application;
}

/** The dashboard; its value is null where the application has none. */
export function useDashboard(): Answer<Dashboard | null> {
  return useKnown().dashboard;
}
