//! Tables as spin.toml declares them, and how their names and types stand in WIT.

/// A declared table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, snake_case.
    pub name: String,
    /// Which store serves it in production (`cassandra`, `postgres`); embedded, all are served from SQLite.
    pub store: String,
    /// Which of the operator's connections serves it; `None`: it is in the data folder.
    pub connection: Option<String>,
    /// Key columns, partition key first.
    pub key: Vec<String>,
    /// All columns, in the order of declaration, those of the key included.
    pub columns: Vec<Column>,
    /// Whether only functions that hold it may read it, and users only when they ask for it.
    pub sensitive: bool,
    /// Goes into every export.
    pub notice: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, snake_case.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether a row may leave it empty; never so for a key column.
    pub nullable: bool,
    /// As [`Table::sensitive`], for this column.
    pub sensitive: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// UTF-8 without NUL, compared by bytes.
    Text,
    /// A day of the years 1 to 9999; in WIT days since 1970-01-01.
    Date,
    /// An instant; in WIT milliseconds since the Unix epoch.
    Timestamp,
    /// A 64-bit float, never NaN.
    Double,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Bigint,
    /// True or false.
    Boolean,
}

impl ColumnKind {
    /// Every kind.
    pub const ALL: [ColumnKind; 7] = [
        ColumnKind::Text,
        ColumnKind::Date,
        ColumnKind::Timestamp,
        ColumnKind::Double,
        ColumnKind::Int,
        ColumnKind::Bigint,
        ColumnKind::Boolean,
    ];

    /// The name in spin.toml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::Text => "text",
            ColumnKind::Date => "date",
            ColumnKind::Timestamp => "timestamp",
            ColumnKind::Double => "double",
            ColumnKind::Int => "int",
            ColumnKind::Bigint => "bigint",
            ColumnKind::Boolean => "boolean",
        }
    }

    /// The type in WIT, without `option`.
    #[must_use]
    pub fn wit(self) -> &'static str {
        match self {
            ColumnKind::Text => "string",
            ColumnKind::Date | ColumnKind::Int => "s32",
            ColumnKind::Timestamp | ColumnKind::Bigint => "s64",
            ColumnKind::Double => "f64",
            ColumnKind::Boolean => "bool",
        }
    }
}

/// The connection of tables that are in the data folder although the log is not: their rows come by the outbox, too.
pub const DATA_FOLDER: &str = "data-folder";

impl Table {
    /// Whether its rows are in the data folder.
    #[must_use]
    pub fn is_in_data_folder(&self) -> bool {
        self.connection.as_deref().is_none_or(|connection| connection == DATA_FOLDER)
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Whether `column` is part of the key.
    #[must_use]
    pub fn is_key(&self, column: &str) -> bool {
        self.key.iter().any(|k| k == column)
    }
}

/// A name as WIT spells it: `order_id` becomes `order-id`. The way back is unique because neither table nor
/// column names hold a hyphen.
#[must_use]
pub fn wit_name(name: &str) -> String {
    name.replace(['_', '.'], "-")
}
