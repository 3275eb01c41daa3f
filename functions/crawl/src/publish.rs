//! Publishing the pieces of an archive, whole days at a time, at the pace that the operator set.

use crate::kept::{self, Draining};
use crate::listing::ArchiveName;
use crate::messages;
use crate::outside::{Outside, Topic};
use crate::pieces::{self, ROWS};
use crate::published::Published;
use crate::round::Run;
use crate::rows::{Row, WIDTH, decode_all};
use isobar_guest::PackedBuilder;
use observation::{MessageWriter, SLOTS, Source, StationId};
use std::collections::BTreeSet;

/// Paced runs of a second: often enough to look smooth, seldom enough that commits cost little.
const PACED_RUNS_A_SECOND: f64 = 10.0;
/// A message of either topic has 131 to 165 bytes.
const MESSAGE_BYTES: usize = 168;

impl<O: Outside> Run<'_, O> {
    /// Publishes the next days of the archive being drained. Says after how many milliseconds to go on when the run has
    /// done enough.
    pub(crate) fn publish(&mut self) -> Result<Option<u32>, String> {
        let Some(mut draining) = self.round.draining.take() else {
            return Ok(None);
        };
        let key = kept::piece_key(draining.piece);
        let piece = kept::read(self.outside, &key).unwrap_or_default();
        let rows: Vec<Row> = decode_all(piece.get(draining.row * WIDTH..).unwrap_or_default()).collect();
        let rest = rows.len();
        if rest == 0 || (draining.row + rest) * WIDTH != piece.len() {
            return Err(format!("state `{key}` is damaged: delete the state of this function to crawl anew"));
        }
        let sent = self.send(&draining, &rows, self.most_rows())?;
        self.spent.rows += sent;
        self.round.tally.rows += sent as u64;
        draining.row += sent;
        if sent == rest {
            kept::write(self.outside, &key, None);
            draining = Draining { piece: draining.piece + 1, row: 0, ..draining };
        }
        if draining.piece == draining.pieces {
            self.remember(&draining.planned, &draining.drained)?;
        } else {
            self.round.draining = Some(draining);
        }
        Ok(self.pause(sent))
    }

    /// Sends whole days of `rows`, at least one, up to `most` rows, and remembers them. Returns how many rows.
    fn send(&mut self, draining: &Draining, rows: &[Row], most: usize) -> Result<usize, String> {
        let planned = &draining.planned;
        let name = ArchiveName::parse(planned.product, &planned.file)
            .ok_or_else(|| format!("state `{}` names no archive: delete the state of this function", kept::ROUND))?;
        let mut taken = 0;
        for (_, day) in pieces::days(rows) {
            if taken > 0 && taken + day.len() > most {
                break;
            }
            taken += day.len();
        }
        let rows = rows.get(..taken).unwrap_or_default();
        let years: BTreeSet<i32> = pieces::days(rows).map(|(day, _)| day.year()).collect();
        let mut published = Published::load(self.outside, name.station, planned.product, &years);
        for (day, rows) in pieces::days(rows) {
            let encoded: Vec<u8> = rows.iter().flat_map(Row::encode).collect();
            published.note(day, &encoded);
        }
        published.save(self.outside);
        self.send_rows(name.station, Source { product: planned.product, revision: draining.revision }, rows)?;
        Ok(taken)
    }

    fn send_rows(&mut self, station: StationId, source: Source, rows: &[Row]) -> Result<(), String> {
        let packed = |bytes| PackedBuilder::with_capacity(rows.len(), rows.len() * bytes);
        let digits = station.digits();
        let (mut keys, mut temperature, mut others) =
            (packed(digits.len()), packed(MESSAGE_BYTES), packed(MESSAGE_BYTES));
        let mut writer = MessageWriter::default();
        for row in rows {
            keys.push(&digits);
            temperature.push_with(|out| writer.temperature(out, &messages::temperature(station, source, row)));
            others.push_with(|out| writer.others(out, &messages::others(station, source, row)));
        }
        let keys = keys.build();
        self.outside.send(Topic::Temperature, &keys, &temperature.build())?;
        self.outside.send(Topic::Others, &keys, &others.build())
    }

    fn most_rows(&self) -> usize {
        match self.settings.speed {
            None => ROWS.saturating_sub(self.spent.rows),
            Some(speed) => ((speed / PACED_RUNS_A_SECOND).ceil() as usize).clamp(1, ROWS / SLOTS) * SLOTS,
        }
    }

    fn pause(&self, sent: usize) -> Option<u32> {
        match self.settings.speed {
            None => (self.spent.rows >= ROWS - SLOTS).then_some(0),
            Some(speed) => Some((sent as f64 / SLOTS as f64 / speed * 1000.0).round() as u32),
        }
    }
}
