/** What stands around every page: where one can go, and in one quiet line whether the machine is well. */

import { useEffect, useRef, useState } from "preact/hooks";
import { useApplication, useDashboard } from "./application";
import { HealthLine } from "./HealthLine";
import { KeysDialog, useKeys } from "./keys";
import { Page, placeOf } from "./pages";
import { ErrorBoundary } from "./parts/ErrorBoundary";
import { words } from "./parts/states";
import { useRoute } from "./route";
import { useSession } from "./session";
import { type Choice, chooseTheme, themeChoice } from "./theme";

const ENTRIES = [
  { path: "/flow", title: "Flow", also: ["/functions/"] },
  { path: "/topics", title: "Topics", also: ["/topics/"] },
  { path: "/dead-letters", title: "Dead letters", also: [] },
  { path: "/tables", title: "Tables", also: ["/tables/"] },
  { path: "/audit", title: "Audit", also: [] },
];

function Navigation({ path, board }: { path: string; board: string }) {
  const entries = [{ path: "/", title: board, also: [] as string[] }, ...ENTRIES];
  const isHere = (entry: (typeof entries)[number]) =>
    path === entry.path || entry.also.some((prefix) => path.startsWith(prefix));
  return (
    <nav aria-label="Pages">
      <ul>
        {entries.map((entry) => (
          <li key={entry.path}>
            <a href={entry.path} aria-current={isHere(entry) ? "page" : undefined}>
              {entry.title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function ThemeSwitch() {
  const [choice, setChoice] = useState<Choice>(themeChoice);
  const choose = (next: Choice) => {
    chooseTheme(next);
    setChoice(next);
  };
  return (
    <label class="theme">
      <span class="unseen">Light or dark</span>
      <select value={choice} onChange={(event) => choose(event.currentTarget.value as Choice)}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

function Person() {
  const { user, may, as_viewer, viewAs, signOut } = useSession();
  const [error, setError] = useState<unknown>(null);
  const run = (act: Promise<void>) => act.then(() => setError(null), setError);
  const can = [may.sensitive && "see what is sensitive", may.operate && "operate", may.deploy && "deploy"].filter(Boolean);
  const rights = can.length > 0 ? `may ${can.join(", ")}` : "may look, at what is not sensitive";
  return (
    <div class="person">
      {error !== null && <span class="failure">{words(error).message}</span>}
      <span title={rights}>{user}</span>
      <button type="button" class="quiet" aria-pressed={as_viewer} onClick={() => void run(viewAs(!as_viewer))}>
        {as_viewer ? "Stop viewing as viewer" : "View as viewer"}
      </button>
      <button type="button" class="quiet" onClick={() => void run(signOut())}>
        Sign out
      </button>
    </div>
  );
}

/** Leads who hears the page and does not see it to what has changed. */
function useFocusOn(path: string) {
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  return main;
}

export function Shell() {
  const { path } = useRoute();
  const application = useApplication();
  const dashboard = useDashboard();
  const main = useFocusOn(path);
  const { shown, close, open } = useKeys();
  const place = placeOf(path);
  const name = application.value?.name ?? "Isobar";
  const board = dashboard.value?.title ?? "Board";
  useEffect(() => {
    document.title = [place.kind.title(place.name) || board, name].join(" · ");
  }, [path, name, board]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="name" href="/">
          {name}
        </a>
        <Navigation path={path} board={board} />
        <div class="side">
          <button type="button" class="quiet" aria-label="Keys" title="Keys" onClick={open}>
            ?
          </button>
          <ThemeSwitch />
          <Person />
        </div>
      </header>
      <HealthLine />
      <main id="main" ref={main} tabIndex={-1}>
        <ErrorBoundary key={path}>
          <Page kind={place.kind} name={place.name} />
        </ErrorBoundary>
      </main>
      {shown && <KeysDialog close={close} board={board} />}
    </>
  );
}
