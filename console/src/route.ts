/** Addresses: paths say what is looked at, the query how, so that a link shows what its sender saw. */

import { useCallback, useEffect, useState } from "preact/hooks";
import { type Query, withQuery } from "./api";

export interface Route {
  path: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();

/** Where one is. */
export function here(): Route {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

function tell(): void {
  for (const listener of [...listeners]) listener();
}

/** Goes to an address of this page; `replace` where the way back should not lead to the present one. */
export function go(to: string, how: { replace?: boolean } = {}): void {
  const before = location.pathname;
  if (to === location.pathname + location.search) return;
  if (how.replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  tell();
  if (location.pathname !== before) window.scrollTo(0, 0);
}

/** The address of a path of this page. */
export function href(path: string, query: Query = {}): string {
  return withQuery(path, query);
}

/** The present address with some of its query changed; null takes a part out. */
export function hrefWith(changes: Query): string {
  const query: Query = Object.fromEntries(new URLSearchParams(location.search));
  return withQuery(location.pathname, { ...query, ...changes });
}

/** Changes some of the query. */
export function setQuery(changes: Query, how: { replace?: boolean } = {}): void {
  go(hrefWith(changes), how);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const listener = () => setRoute(here());
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return route;
}

/** One part of the query, and how to set it; null where it is not there. */
export function useQuery(name: string): [string | null, (value: string | null, how?: { replace?: boolean }) => void] {
  const { query } = useRoute();
  const set = useCallback(
    (value: string | null, how?: { replace?: boolean }) => setQuery({ [name]: value }, how),
    [name],
  );
  return [query.get(name), set];
}

function isPlain(event: MouseEvent): boolean {
  return event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
}

/** Lets links within the page be followed without loading it anew. */
function follow(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || !isPlain(event)) return;
  const to = link.getAttribute("href") ?? "";
  if (!to.startsWith("/") || to.startsWith("/api/") || link.hasAttribute("download") || link.getAttribute("target")) return;
  event.preventDefault();
  go(to);
}

/** Listens to the way back and to links. */
export function startRouting(): void {
  window.addEventListener("popstate", tell);
  document.addEventListener("click", follow);
}
