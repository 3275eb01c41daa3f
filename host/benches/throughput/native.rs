//! The job without the platform: the same decoding, messages, folds and rows, state and tables in memory, as many
//! threads as there are cores.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aggregate_others::fold as fold_others;
use aggregate_temperature::fold as fold_temperature;
use crawl::listing::ArchiveName;
use crawl::product_file::{BadLine, Sink};
use crawl::rows::Row as Reading;
use isobar::bindings::tables::{schema, sqlite};
use isobar::delivery::{HeldTable, Row, Value};
use isobar::manifest::{Application, Table};
use observation::{Day, MemoryState, MessageWriter, Product, Source, StationId};
use sqlx::{Connection as _, SqliteConnection};

/// Records of a batch, as spin.toml has them for the aggregates.
const BATCH: usize = 16_384;

/// An archive by product, name and bytes.
pub(crate) type Archive = (Product, String, Vec<u8>);

#[derive(Default)]
struct Readings(Vec<Reading>);

impl Sink for Readings {
    fn row(&mut self, row: Reading) {
        self.0.push(row);
    }

    fn bad(&mut self, bad: BadLine) {
        panic!("a made-up archive has a bad line: {bad:?}");
    }
}

/// Takes all archives to tables; gives the rows of the daily temperatures.
pub(crate) fn job(application: &Application, archives: &[Archive], threads: usize) -> i64 {
    let mut stations: BTreeMap<StationId, Vec<&Archive>> = BTreeMap::new();
    for archive in archives {
        let name = ArchiveName::parse(archive.0, &archive.1).unwrap();
        stations.entry(name.station).or_default().push(archive);
    }
    let work = Mutex::new(stations.into_iter());
    let rows = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut tables = runtime.block_on(Tables::open(application));
                loop {
                    let Some((station, archives)) = work.lock().unwrap().next() else { break };
                    let mut station = Station::new(station);
                    archives.iter().for_each(|archive| station.take(archive, &mut tables, &runtime));
                }
                *rows.lock().unwrap() += runtime.block_on(tables.count());
            });
        }
    });
    rows.into_inner().unwrap()
}

struct Station {
    number: StationId,
    temperature: MemoryState,
    others: MemoryState,
}

impl Station {
    fn new(number: StationId) -> Self {
        Station { number, temperature: MemoryState::default(), others: MemoryState::default() }
    }

    fn take(&mut self, (product, name, bytes): &Archive, tables: &mut Tables<'_>, runtime: &tokio::runtime::Runtime) {
        let last = ArchiveName::parse(*product, name).unwrap().days.map(|(_, last)| last);
        let mut readings = Readings::default();
        crawl::archive::read(bytes, self.number, last, &mut readings).unwrap();
        let source = Source { product: *product, revision: 1_748_736_000 };
        let key = self.number.digits();
        for batch in readings.0.chunks(BATCH) {
            let (mut temperature, mut others) = (Vec::new(), Vec::new());
            let mut writer = MessageWriter::default();
            for reading in batch {
                let mut message = Vec::with_capacity(160);
                writer.temperature(&mut message, &crawl::messages::temperature(self.number, source, reading));
                temperature.push(message);
                let mut message = Vec::with_capacity(160);
                writer.others(&mut message, &crawl::messages::others(self.number, source, reading));
                others.push(message);
            }
            let records = temperature.iter().map(|value| (&key[..], value.as_slice()));
            let outcome = fold_temperature(records, &mut self.temperature).unwrap();
            let records = others.iter().map(|value| (&key[..], value.as_slice()));
            let rest = fold_others(records, &mut self.others).unwrap();
            runtime.block_on(tables.write(&held(&outcome, &rest)));
        }
    }
}

/// Tables in memory, one set per thread: a shared one would only make this side slower.
struct Tables<'a> {
    connection: SqliteConnection,
    application: &'a Application,
}

impl<'a> Tables<'a> {
    async fn open(application: &'a Application) -> Self {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        schema::prepare(&mut connection, &application.tables).await.unwrap();
        Tables { connection, application }
    }

    async fn write(&mut self, held: &BTreeMap<&'static str, HeldTable>) {
        let mut transaction = self.connection.begin().await.unwrap();
        for (name, rows) in held {
            let table: &Table = &self.application.tables[*name];
            sqlite::apply(&mut transaction, table, rows).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }

    async fn count(&mut self) -> i64 {
        let row = sqlx::query("SELECT count(*) FROM table_daily_temp_data").fetch_one(&mut self.connection).await;
        sqlx::Row::get(&row.unwrap(), 0)
    }
}

/// The rows of both aggregates as held writes.
pub(crate) fn held(
    temperature: &aggregate_temperature::Outcome,
    others: &aggregate_others::Outcome,
) -> BTreeMap<&'static str, HeldTable> {
    let mut held: BTreeMap<&'static str, HeldTable> = BTreeMap::new();
    let mut upsert = |table, keys: usize, cells: Row| {
        let key = cells[..keys].to_vec();
        held.entry(table).or_default().upsert(key, cells.into_iter().map(Some).collect());
    };
    temperature.daily.iter().for_each(|row| upsert("daily_temp_data", 2, daily(row)));
    temperature.yearly.iter().for_each(|row| upsert("yearly_data_temp", 2, yearly(row)));
    for row in &temperature.overall {
        let (min, max) = (Value::Double(row.min_temperature), Value::Double(row.max_temperature));
        upsert("overall_temp", 2, vec![text(row.station), date(row.day), min, max]);
    }
    for row in &others.daily {
        let figures = [row.max_pressure, row.min_pressure, row.mean_pressure, row.mean_humidity, row.mean_dewpoint];
        let counts = [row.pressure_readings, row.humidity_readings, row.dewpoint_readings];
        let mut cells = vec![text(row.station), date(row.day)];
        cells.extend(figures.map(double));
        cells.extend(counts.map(int));
        cells.push(row.min_quality.map_or(Value::Null, int));
        upsert("daily_othe_data", 2, cells);
    }
    held
}

fn daily(row: &aggregate_temperature::DailyRow) -> Row {
    let flags = [row.summer_day, row.hot_day, row.frost_day, row.ice_day];
    let mut cells = vec![
        text(row.station),
        date(row.day),
        double(row.mean_temp),
        row.mean_method.map_or(Value::Null, |m| Value::Text(m.name().to_owned())),
    ];
    cells.extend([row.mean_temp_all, row.min_temp, row.max_temp, row.min_temp_5cm].map(double));
    cells.extend([int(row.readings), int(row.hours), Value::Double(row.completeness)]);
    cells.push(row.min_quality.map_or(Value::Null, int));
    cells.extend(flags.map(|flag| flag.map_or(Value::Null, Value::Bool)));
    cells.extend([row.heating_degrees_20_15, row.heating_degrees_15].map(double));
    cells
}

fn yearly(row: &aggregate_temperature::YearlyRow) -> Row {
    let figures =
        [row.mean_temp, row.mean_temp_all, row.mean_deviation, row.daily_mean_deviation, row.min_temp, row.max_temp];
    let mut cells = vec![text(row.station), int(row.year)];
    cells.extend(figures.map(double));
    cells.push(row.quality.map_or(Value::Null, int));
    cells.extend([int(row.days), int(row.expected_days), int(row.readings), Value::Double(row.completeness)]);
    cells.extend([row.summer_days, row.hot_days, row.frost_days, row.ice_days].map(int));
    cells.extend([Value::Double(row.heating_degrees_20_15), Value::Double(row.heating_degrees_15)]);
    cells
}

fn text(station: StationId) -> Value {
    Value::Text(station.to_string())
}

fn date(day: Day) -> Value {
    Value::Int(i64::from(day.number()))
}

fn int(n: i32) -> Value {
    Value::Int(i64::from(n))
}

fn double(figure: Option<f64>) -> Value {
    figure.map_or(Value::Null, Value::Double)
}
