/** Who looks, and what they may. One comes in by a link that the terminal prints, once. */

import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useState } from "preact/hooks";
import { Refused, askSensitive, get, onSignedOut, post } from "./api";
import { startLive, stopLive } from "./live";
import { CopyCommand } from "./parts/CopyCommand";
import { Failed, Loading } from "./parts/states";
import type { Session } from "./types";

interface SessionActions extends Session {
  /** Shows what a viewer would see, or all that one may again. */
  viewAs: (viewer: boolean) => Promise<void>;
  signOut: () => Promise<void>;
}

const Context = createContext<SessionActions | null>(null);

export function useSession(): SessionActions {
  const session = useContext(Context);
  if (!session) throw new Error("there is no session");
  return session;
}

type Entry =
  | { at: "coming" }
  | { at: "in"; session: Session }
  | { at: "out"; why: "none" | "used" | "ended" }
  | { at: "failed"; error: unknown };

const SIGN_IN = "#sign-in=";

/** Takes the code of the address, so that neither history nor a copied link holds it. */
function takeCode(): string | null {
  if (!location.hash.startsWith(SIGN_IN)) return null;
  const code = location.hash.slice(SIGN_IN.length);
  history.replaceState(null, "", location.pathname + location.search);
  return code;
}

async function enter(): Promise<Entry> {
  const code = takeCode();
  try {
    const session = code === null ? await get<Session>("/session") : await post<Session>("/session", { code });
    return { at: "in", session };
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) return { at: "failed", error };
    if (code === null) return { at: "out", why: "none" };
    // The link was used, perhaps by this browser: then one is in already.
    return get<Session>("/session").then(
      (session): Entry => ({ at: "in", session }),
      (): Entry => ({ at: "out", why: "used" }),
    );
  }
}

export function SessionProvider({ children }: { children: ComponentChildren }) {
  const [entry, setEntry] = useState<Entry>({ at: "coming" });
  const arrive = useCallback((next: Entry) => {
    askSensitive(next.at === "in" && next.session.may.sensitive);
    // The stream tells what one might see when it was opened.
    stopLive();
    if (next.at === "in") startLive();
    setEntry(next);
  }, []);
  const begin = useCallback(() => void enter().then(arrive), [arrive]);
  useEffect(() => {
    onSignedOut(() => arrive({ at: "out", why: "ended" }));
    const again = () => location.hash.startsWith(SIGN_IN) && begin();
    window.addEventListener("hashchange", again);
    begin();
    return () => window.removeEventListener("hashchange", again);
  }, [arrive, begin]);
  if (entry.at === "coming") return <Loading what="the session" />;
  if (entry.at === "failed") return <Failed error={entry.error} again={begin} />;
  if (entry.at === "out") return <SignedOut why={entry.why} />;
  const viewAs = async (viewer: boolean) =>
    arrive({ at: "in", session: await post<Session>("/session/view", { as_viewer: viewer }) });
  const signOut = async () => {
    await post("/session/end");
    arrive({ at: "out", why: "none" });
  };
  // What was loaded with other rights is not shown any more: all below begins anew.
  const key = `${entry.session.user} ${entry.session.as_viewer}`;
  return (
    <Context.Provider key={key} value={{ ...entry.session, viewAs, signOut }}>
      {children}
    </Context.Provider>
  );
}

const REASONS = {
  none: "You are not signed in here.",
  used: "This link was used already, or is too old.",
  ended: "The session has ended.",
};

function SignedOut({ why }: { why: keyof typeof REASONS }) {
  return (
    <main class="alone">
      <h1>{REASONS[why]}</h1>
      <p>A new link comes from the terminal, in the folder of the application. Each link is good once.</p>
      <CopyCommand command="isobar open" />
    </main>
  );
}
