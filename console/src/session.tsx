/** Who looks, and what they may. One comes in by a link that the terminal prints, once, or by name and password. */

import { type ComponentChildren, createContext } from "preact";
import { useCallback, useContext, useEffect, useState } from "preact/hooks";
import { Refused, type SignInWay, askSensitive, get, onSignedOut, post } from "./api";
import { startLive, stopLive } from "./live";
import { Failed, Loading } from "./parts/states";
import { SignedOut, type Why } from "./SignIn";
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
  | { at: "out"; why: Why; ways: readonly SignInWay[] }
  | { at: "failed"; error: unknown };

const SIGN_IN = "#sign-in=";

/** Takes the code of the address, so that neither history nor a copied link holds it. */
function takeCode(): string | null {
  if (!location.hash.startsWith(SIGN_IN)) return null;
  const code = location.hash.slice(SIGN_IN.length);
  history.replaceState(null, "", location.pathname + location.search);
  return code;
}

/** Whether one is in, perhaps by another window; else that one is out, and which ways lead in. */
async function look(why: Why): Promise<Entry> {
  try {
    return { at: "in", session: await get<Session>("/session") };
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return { at: "out", why, ways: error.ways };
    return { at: "failed", error };
  }
}

async function enter(): Promise<Entry> {
  const code = takeCode();
  if (code === null) return look("none");
  try {
    return { at: "in", session: await post<Session>("/session", { code }) };
  } catch (error) {
    // The link was used, perhaps by this browser: then one is in already.
    return error instanceof Refused && error.status === 401 ? look("used") : { at: "failed", error };
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
    onSignedOut(() => void look("ended").then(arrive));
    const again = () => location.hash.startsWith(SIGN_IN) && begin();
    window.addEventListener("hashchange", again);
    begin();
    return () => window.removeEventListener("hashchange", again);
  }, [arrive, begin]);
  if (entry.at === "coming") return <Loading what="the session" />;
  if (entry.at === "failed") return <Failed error={entry.error} again={begin} />;
  if (entry.at === "out") {
    return <SignedOut why={entry.why} ways={entry.ways} enter={(session) => arrive({ at: "in", session })} />;
  }
  const viewAs = async (viewer: boolean) =>
    arrive({ at: "in", session: await post<Session>("/session/view", { as_viewer: viewer }) });
  const signOut = async () => {
    await post("/session/end");
    arrive(await look("none"));
  };
  // What was loaded with other rights is not shown any more: all below begins anew.
  const key = `${entry.session.user} ${entry.session.as_viewer}`;
  return (
    <Context.Provider key={key} value={{ ...entry.session, viewAs, signOut }}>
      {children}
    </Context.Provider>
  );
}
