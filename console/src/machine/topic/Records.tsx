import { useState } from "preact/hooks";
import { Moment } from "../../parts/Figures";
import { numberText } from "../../parts/format";
import type { RecordView } from "../../types";
import { RecordDetail } from "../RecordDetail";
import { decode, keyLine } from "../records";

const idOf = (record: RecordView) => `${record.partition}/${record.offset}`;

function Row({ record, open, toggle }: { record: RecordView; open: boolean; toggle: () => void }) {
  return (
    <>
      <tr>
        <td>
          <button type="button" class="row" aria-expanded={open} onClick={toggle} title={open ? "Close" : "Open the record"}>
            {record.partition}/{numberText(String(record.offset))}
          </button>
        </td>
        <td>
          <Moment at_ms={record.timestamp_ms} exact />
        </td>
        <td class="ellipsis">
          <code>{keyLine(record.key)}</code>
        </td>
        <td class="ellipsis">
          <code>{decode(record.value).line}</code>
        </td>
      </tr>
      {open && (
        <tr class="opened">
          <td colSpan={4}>
            <RecordDetail payloadKey={record.key} value={record.value} headers={record.headers} />
          </td>
        </tr>
      )}
    </>
  );
}

/** Records in lines; each opens to all of it. */
export function Records({ records }: { records: RecordView[] }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  return (
    <div class="table" role="group" aria-label="Records" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Partition/offset</th>
            <th scope="col">Time</th>
            <th scope="col">Key</th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>
          {records.map((record) => (
            <Row key={idOf(record)} record={record} open={open.has(idOf(record))} toggle={() => toggle(idOf(record))} />
          ))}
        </tbody>
      </table>
    </div>
  );
}
