import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswer, useEvery } from "../answer";
import { Refused, getTopics } from "../api";
import type { PageProps } from "../pages";
import { Card } from "../parts/Card";
import { CopyCommand } from "../parts/CopyCommand";
import { bytes, count, number, word } from "../parts/format";
import { Answered, Empty, Failed, Hidden, Loading } from "../parts/states";
import { useRoute } from "../route";
import { useSession } from "../session";
import type { RecordView, TopicStatus, TopicSummary } from "../types";
import "./machine.css";
import { decode, keyLine, parseMoment } from "./records";
import { type Piece, type Sought, placesAt, readBack, readOn, seek } from "./topic/read";
import { Records } from "./topic/Records";
import { type Place, Search } from "./topic/Search";

const SIZE = 100;

function placeOf(query: URLSearchParams): Place {
  const whole = (name: string) => (/^\d+$/.test(query.get(name) ?? "") ? Number(query.get(name)) : null);
  return { partition: whole("partition"), from: whole("from"), at: query.get("at") };
}

const isForward = (place: Place) => place.from !== null || parseMoment(place.at ?? "") !== null;

async function firstPiece(topic: string, extents: TopicStatus[], place: Place, signal: AbortSignal): Promise<Piece> {
  const at_ms = parseMoment(place.at ?? "");
  if (at_ms !== null) return readOn(topic, extents, await placesAt(topic, extents, at_ms, signal), SIZE, signal);
  const { from } = place;
  if (from !== null) return readOn(topic, extents, new Map(extents.map((e) => [e.partition, from])), SIZE, signal);
  return readBack(topic, extents, new Map(), SIZE, signal);
}

function holds(record: RecordView, part: string): boolean {
  const wanted = part.toLowerCase();
  return [keyLine(record.key), decode(record.value).text].some((text) => text.toLowerCase().includes(wanted));
}

interface Held {
  pieces: Sought[];
  error: unknown;
  loading: boolean;
}

/** What was read so far, and how to read on; it begins anew where another place is looked at. */
function useRecords(topic: string, extents: TopicStatus[], place: Place, filter: string) {
  const [held, setHeld] = useState<Held>({ pieces: [], error: null, loading: true });
  const abort = useRef(new AbortController());
  const run = (before: Sought[], read: (signal: AbortSignal) => Promise<Sought>) => {
    abort.current.abort();
    const now = new AbortController();
    abort.current = now;
    setHeld({ pieces: before, error: null, loading: true });
    read(now.signal).then(
      (piece) => !now.signal.aborted && setHeld({ pieces: [...before, piece], error: null, loading: false }),
      (error: unknown) => !now.signal.aborted && setHeld({ pieces: before, error, loading: false }),
    );
  };
  const whole = async (piece: Promise<Piece>): Promise<Sought> => ({ ...(await piece), read: (await piece).records.length });
  const begin = () => run([], (signal) => whole(firstPiece(topic, extents, place, signal)));
  useEffect(() => {
    begin();
    return () => abort.current.abort();
  }, [topic, place.partition, place.from, place.at]);
  // What was sought and did not fit was not kept: with something else to seek, it has to be read again.
  useEffect(() => {
    if (held.pieces.some((piece) => piece.read > piece.records.length)) begin();
  }, [filter]);
  const more = () => {
    const places = held.pieces[held.pieces.length - 1]?.places ?? new Map<number, number>();
    const read = isForward(place) ? readOn : readBack;
    run(held.pieces, (signal) =>
      filter
        ? seek(read, [topic, extents, places], (record) => holds(record, filter), signal)
        : whole(read(topic, extents, places, SIZE, signal)),
    );
  };
  return { ...held, begin, more };
}

/** How many records came behind those that are shown, and how to show them. */
function useFresh(extents: TopicStatus[], place: Place, begin: () => void) {
  const came = isForward(place) ? 0 : extents.reduce((sum, extent) => sum + extent.next, 0);
  const [seen, setSeen] = useState(came);
  const renew = () => {
    setSeen(came);
    begin();
  };
  return { fresh: came - seen, renew };
}

function More({ forward, filter, loading, more }: { forward: boolean; filter: string; loading: boolean; more: () => void }) {
  const label = filter ? `Search ${forward ? "newer" : "older"} ones for it` : forward ? "Read on" : "Read older ones";
  return (
    <div class="actions">
      <button type="button" onClick={more} disabled={loading}>
        {loading ? "Reading …" : label}
      </button>
    </div>
  );
}

function Found({ topic, place, filter }: { topic: TopicSummary; place: Place; filter: string }) {
  const extents = topic.partitions.filter((extent) => place.partition === null || extent.partition === place.partition);
  const { pieces, error, loading, begin, more } = useRecords(topic.topic, extents, place, filter);
  const { fresh, renew } = useFresh(extents, place, begin);
  const all = pieces.flatMap((piece) => piece.records);
  const shown = filter ? all.filter((record) => holds(record, filter)) : all;
  const read = pieces.reduce((sum, piece) => sum + piece.read, 0);
  const done = pieces[pieces.length - 1]?.done ?? false;
  const forward = isForward(place);
  if (error) return <Failed error={error} again={begin} />;
  if (pieces.length === 0) return <Loading what="records" />;
  return (
    <Card
      title={forward ? "Records, the oldest first" : "Records, the newest first"}
      wide
      actions={
        fresh > 0 && (
          <button type="button" class="quiet" onClick={renew}>
            Show {count(fresh, "newer record")}
          </button>
        )
      }
      note={`${count(shown.length, "record")} shown${read > shown.length ? ` of ${number(read)} read` : ""}.`}
    >
      {shown.length === 0 ? (
        <Empty title={all.length === 0 ? "There is no record here." : "None of those read holds this."}>
          {all.length === 0 ? "Records come with the function that publishes here." : "Search on, or look elsewhere."}
        </Empty>
      ) : (
        <Records records={shown} />
      )}
      {!done && <More forward={forward} filter={filter} loading={loading} more={more} />}
    </Card>
  );
}

function Parts({ topic }: { topic: TopicSummary }) {
  const { may } = useSession();
  const { query } = useRoute();
  const [filter, setFilter] = useState("");
  const place = placeOf(query);
  const size = topic.partitions.reduce((sum, partition) => sum + partition.bytes, 0);
  const kept = topic.partitions.reduce((sum, { first, next }) => sum + next - first, 0);
  const flags = `${place.partition === null ? "" : ` --partition ${place.partition}`}${place.from === null ? "" : ` --from ${place.from}`}`;
  return (
    <>
      <div class="head">
        <h1>{topic.topic}</h1>
        <span class="muted">
          {count(topic.partitions.length, "partition")}, {count(kept, "record")} kept, {bytes(size)}
          {topic.sensitive && ", sensitive"}
        </span>
        <span class="end">
          <CopyCommand command={`isobar topic read ${word(topic.topic)}${flags}${topic.sensitive ? " --sensitive" : ""}`} short />
        </span>
      </div>
      {topic.sensitive && !may.sensitive ? (
        <Hidden what="Its records are" />
      ) : (
        <>
          <Search place={place} partitions={topic.partitions.map(({ partition }) => partition)} filter={filter} setFilter={setFilter} />
          <Found key={place.partition} topic={topic} place={place} filter={filter} />
        </>
      )}
    </>
  );
}

async function oneTopic(name: string, signal: AbortSignal): Promise<TopicSummary> {
  const found = (await getTopics(signal)).find((topic) => topic.topic === name);
  if (!found) throw new Refused(404, `there is no topic \`${name}\``, "the page Topics shows those there are");
  return found;
}

/** The records of a topic. */
export default function TopicPage({ name }: PageProps) {
  const topic = useAnswer((signal) => oneTopic(name, signal), [name]);
  useEvery(3, topic.again);
  return (
    <Answered answer={topic} what="the topic">
      {(value) => <Parts topic={value} />}
    </Answered>
  );
}
