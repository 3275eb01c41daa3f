// Finding a subject by what one types: by name or key, whatever the case and the accents.

import { unisolated } from "./isolated";

function plain(text: string): string {
  return unisolated(text)
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase();
}

interface Named {
  key: string;
  name: string;
}

/** Those that fit, best first: what begins so, then what has a word that begins so, then what holds it anywhere. */
export function find<S extends Named>(all: readonly S[], typed: string, most: number): S[] {
  const wanted = plain(typed.trim());
  if (!wanted) return all.slice(0, most);
  const ranked = all.flatMap((one, place) => {
    const rank = Math.min(rankOf(plain(one.name), wanted), rankOf(plain(one.key), wanted));
    return rank < 3 ? [{ one, rank, place }] : [];
  });
  ranked.sort((a, b) => a.rank - b.rank || a.place - b.place);
  return ranked.slice(0, most).map(({ one }) => one);
}

function rankOf(text: string, wanted: string): number {
  const at = text.indexOf(wanted);
  if (at < 0) return 3;
  if (at === 0) return 0;
  return text.split(/[\s/()-]+/).some((word) => word.startsWith(wanted)) ? 1 : 2;
}
