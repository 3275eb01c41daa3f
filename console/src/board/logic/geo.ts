// Places on a small map: longitude and latitude as x and y, right in proportion at the middle of what is shown.

export interface Projection {
  width: number;
  height: number;
  x: (longitude: number) => number;
  y: (latitude: number) => number;
}

type Ring = [number, number][];

/** All rings of polygons in a GeoJSON; empty where it is none. */
export function ringsOf(outline: unknown): Ring[] {
  const found: Ring[] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    const { type, coordinates, geometry, geometries, features } = part as Record<string, unknown>;
    if (type === "Polygon") found.push(...(coordinates as Ring[]));
    else if (type === "MultiPolygon") for (const polygon of coordinates as Ring[][]) found.push(...polygon);
    else [geometry, ...((geometries ?? features ?? []) as unknown[])].forEach(visit);
  };
  visit(outline);
  return found;
}

/** A projection that shows all of some points in a given width. */
export function projection(points: readonly (readonly [number, number])[], width: number, edge: number): Projection | null {
  if (points.length === 0) return null;
  let [west, east, south, north] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [longitude, latitude] of points) {
    [west, east] = [Math.min(west, longitude), Math.max(east, longitude)];
    [south, north] = [Math.min(south, latitude), Math.max(north, latitude)];
  }
  // A single place has no extent of its own.
  if (east - west < 0.1) [west, east] = [west - 0.5, east + 0.5];
  if (north - south < 0.1) [south, north] = [south - 0.5, north + 0.5];
  const squeeze = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const scale = (width - 2 * edge) / ((east - west) * squeeze);
  return {
    width,
    height: Math.round((north - south) * scale + 2 * edge),
    x: (longitude) => edge + (longitude - west) * squeeze * scale,
    y: (latitude) => edge + (north - latitude) * scale,
  };
}

export function pathOf(rings: readonly Ring[], { x, y }: Projection): string {
  return rings
    .map((ring) => `M${ring.map(([longitude, latitude]) => `${x(longitude).toFixed(1)} ${y(latitude).toFixed(1)}`).join("L")}Z`)
    .join("");
}

/** The place that is next to another in a direction, for the arrow keys; none where there is none. */
export function neighbour(places: readonly { x: number; y: number }[], from: number, dx: number, dy: number): number | null {
  const here = places[from];
  if (!here) return null;
  let [best, least]: [number | null, number] = [null, Infinity];
  places.forEach((place, at) => {
    const along = (place.x - here.x) * dx + (place.y - here.y) * dy;
    const across = Math.abs((place.x - here.x) * dy) + Math.abs((place.y - here.y) * dx);
    const cost = along + 2 * across;
    if (at !== from && along > 0 && across <= 2 * along && cost < least) [best, least] = [at, cost];
  });
  return best;
}
