//! Cells as Postgres has them: columns of cells as arrays, so that a statement is the same for any number of rows, and dates
//! and timestamps in its binary form, days and microseconds since 2000-01-01
//! (<https://www.postgresql.org/docs/current/datatype-datetime.html>).

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef, types::Oid};
use sqlx::{Arguments as _, Decode, Encode, Postgres, Row as _, Type};

use crate::delivery::{Row, Value};
use crate::manifest::ColumnKind;

/// 2000-01-01 in days since 1970-01-01.
const EPOCH_DAY: i64 = 10_957;
/// The same in milliseconds.
const EPOCH_MS: i64 = EPOCH_DAY * 86_400_000;
/// Numbers of Postgres's own types, from `pg_type.dat` of its source.
const DATE: Oid = Oid(1082);
const DATES: Oid = Oid(1182);
const TIMESTAMP: Oid = Oid(1184);
const TIMESTAMPS: Oid = Oid(1185);

/// The type of a column, as `format_type` writes it.
pub(super) fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "text",
        ColumnKind::Date => "date",
        ColumnKind::Timestamp => "timestamp with time zone",
        ColumnKind::Double => "double precision",
        ColumnKind::Int => "integer",
        ColumnKind::Bigint => "bigint",
        ColumnKind::Boolean => "boolean",
    }
}

/// The kind that a stored type serves, if any does.
pub(super) fn kind_of(stored: &str) -> Option<ColumnKind> {
    ColumnKind::ALL.into_iter().find(|kind| type_of(*kind) == stored)
}

/// Days since 1970-01-01.
struct Day(i64);

impl Type<Postgres> for Day {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(DATE)
    }
}

impl PgHasArrayType for Day {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(DATES)
    }
}

impl Encode<'_, Postgres> for Day {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&i32::try_from(self.0 - EPOCH_DAY)?.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Day {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Day(i64::from(i32::from_be_bytes(value.as_bytes()?.try_into()?)) + EPOCH_DAY))
    }
}

/// Milliseconds since the Unix epoch.
struct Instant(i64);

impl Type<Postgres> for Instant {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMP)
    }
}

impl PgHasArrayType for Instant {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPS)
    }
}

impl Encode<'_, Postgres> for Instant {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&((self.0 - EPOCH_MS) * 1000).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Instant {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Instant(i64::from_be_bytes(value.as_bytes()?.try_into()?).div_euclid(1000) + EPOCH_MS))
    }
}

/// Adds a parameter that is an array: a column of cells.
pub(super) fn bind_all<'v>(
    arguments: &mut PgArguments,
    kind: ColumnKind,
    cells: impl Iterator<Item = &'v Value>,
) -> Result<(), sqlx::Error> {
    let integer = |value: &Value| if let Value::Int(i) = value { Some(*i) } else { None };
    match kind {
        ColumnKind::Text => {
            let text = |value: &'v Value| if let Value::Text(text) = value { Some(text.as_str()) } else { None };
            arguments.add(cells.map(text).collect::<Vec<Option<&str>>>())
        }
        ColumnKind::Date => arguments.add(cells.map(|c| integer(c).map(Day)).collect::<Vec<Option<Day>>>()),
        ColumnKind::Timestamp => {
            arguments.add(cells.map(|c| integer(c).map(Instant)).collect::<Vec<Option<Instant>>>())
        }
        ColumnKind::Int => {
            // `domain` lets no other into an `int`.
            let int = |value: &Value| integer(value).and_then(|i| i32::try_from(i).ok());
            arguments.add(cells.map(int).collect::<Vec<Option<i32>>>())
        }
        ColumnKind::Bigint => arguments.add(cells.map(integer).collect::<Vec<Option<i64>>>()),
        ColumnKind::Double => {
            // Not every store keeps negative zero apart.
            let double = |value: &Value| if let Value::Double(d) = value { Some(*d + 0.0) } else { None };
            arguments.add(cells.map(double).collect::<Vec<Option<f64>>>())
        }
        ColumnKind::Boolean => {
            let boolean = |value: &Value| if let Value::Bool(b) = value { Some(*b) } else { None };
            arguments.add(cells.map(boolean).collect::<Vec<Option<bool>>>())
        }
    }
    .map_err(sqlx::Error::Encode)
}

/// The cells of `row` from column `start` on.
pub(super) fn read(row: &PgRow, start: usize, kinds: &[ColumnKind]) -> Result<Row, sqlx::Error> {
    let cell = |(at, kind): (usize, &ColumnKind)| {
        Ok(match kind {
            ColumnKind::Text => row.try_get::<Option<String>, _>(at)?.map(Value::Text),
            ColumnKind::Date => row.try_get::<Option<Day>, _>(at)?.map(|day| Value::Int(day.0)),
            ColumnKind::Timestamp => row.try_get::<Option<Instant>, _>(at)?.map(|instant| Value::Int(instant.0)),
            ColumnKind::Int => row.try_get::<Option<i32>, _>(at)?.map(|i| Value::Int(i.into())),
            ColumnKind::Bigint => row.try_get::<Option<i64>, _>(at)?.map(Value::Int),
            ColumnKind::Double => row.try_get::<Option<f64>, _>(at)?.map(Value::Double),
            ColumnKind::Boolean => row.try_get::<Option<bool>, _>(at)?.map(Value::Bool),
        }
        .unwrap_or(Value::Null))
    };
    (start..).zip(kinds).map(cell).collect()
}
