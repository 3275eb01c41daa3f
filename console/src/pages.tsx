/** Which page an address means; each is loaded when it is looked at first. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { Failed, Loading } from "./parts/states";

export interface PageProps {
  /** What the address names, where it names something. */
  name: string;
}

type Loaded = { default: ComponentType<PageProps> };

interface PageKind {
  pattern: RegExp;
  title: (name: string) => string;
  load: () => Promise<Loaded>;
}

const PAGES: PageKind[] = [
  { pattern: /^\/$/, title: () => "", load: () => import("./board/index") as Promise<Loaded> },
  { pattern: /^\/flow$/, title: () => "Flow", load: () => import("./machine/Flow") },
  { pattern: /^\/functions\/([^/]+)$/, title: (name) => name, load: () => import("./machine/Function") },
  { pattern: /^\/topics$/, title: () => "Topics", load: () => import("./machine/Topics") },
  { pattern: /^\/topics\/([^/]+)$/, title: (name) => name, load: () => import("./machine/Topic") },
  { pattern: /^\/dead-letters$/, title: () => "Dead letters", load: () => import("./machine/DeadLetters") },
  { pattern: /^\/tables$/, title: () => "Tables", load: () => import("./machine/Tables") },
  { pattern: /^\/tables\/([^/]+)$/, title: (name) => name, load: () => import("./machine/Table") },
  { pattern: /^\/audit$/, title: () => "Audit", load: () => import("./machine/Audit") },
];

const UNKNOWN: PageKind = {
  pattern: /./,
  title: () => "Nothing here",
  load: () => import("./machine/Nothing"),
};

export interface Place {
  kind: PageKind;
  name: string;
}

/** What a part of a path names; as it is where it is no encoding of anything. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function placeOf(path: string): Place {
  for (const kind of PAGES) {
    const found = kind.pattern.exec(path);
    if (found) return { kind, name: decoded(found[1] ?? "") };
  }
  return { kind: UNKNOWN, name: path };
}

const loaded = new Map<PageKind, ComponentType<PageProps>>();

/** Shows a page, and until it is there that it is loaded. */
export function Page({ kind, name }: Place) {
  const [, setTurn] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const load = () => {
    setError(null);
    kind.load().then(
      (page) => {
        loaded.set(kind, page.default);
        setTurn((now) => now + 1);
      },
      // Where the host is away, asking it says so better than the browser does.
      (reason: unknown) => get("/session").then(() => setError(reason), setError),
    );
  };
  useEffect(() => {
    if (!loaded.has(kind)) load();
  }, [kind]);
  // What could not be loaded once is not loaded by the same page; a page that nobody answers would be gone.
  const again = () => void get("/session").then(() => location.reload(), setError);
  const Shown = loaded.get(kind);
  if (Shown) return <Shown key={name} name={name} />;
  if (error) return <Failed error={error} again={again} />;
  return <Loading what="the page" />;
}
