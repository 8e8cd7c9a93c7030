//! Column types: a small grammar over Arrow's logical types.
//!
//! | written | holds |
//! |---|---|
//! | `bool` | true, false |
//! | `int8` `int16` `int32` `int64` `uint8` `uint16` `uint32` `uint64` | integers, never rounded |
//! | `float32` `float64` | binary floating point, by the column's own wish |
//! | `decimal(p,s)` | exact decimals, 1 <= p <= 38, 0 <= s <= p |
//! | `string` `binary` | UTF-8 text; base64 text |
//! | `date` | a calendar day |
//! | `time(unit)` | a time of day; unit `ms`, `us` |
//! | `timestamp(unit)` `timestamp(unit, UTC)` | an instant; unit `ms` or `us`; kept as UTC |
//! | `json` | any JSON value, kept as its text |
//! | `list<T>` | a list |
//! | `struct<a: T, b: T>` | members by name |
//! | `map<string, T>` | an object whose keys are data |

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A column type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    /// `bool`
    Bool,
    /// A signed integer of 8, 16, 32 or 64 bits.
    Int(u8),
    /// An unsigned integer of 8, 16, 32 or 64 bits.
    UInt(u8),
    /// `float32`
    Float32,
    /// `float64`
    Float64,
    /// `decimal(precision, scale)`
    Decimal(u8, u8),
    /// `string`
    String,
    /// `binary`, read from base64 text
    Binary,
    /// `date`
    Date,
    /// `time(unit)`
    Time(TimeUnit),
    /// `timestamp(unit)`, UTC
    Timestamp(TimeUnit),
    /// `json`
    Json,
    /// `list<T>`
    List(Box<DataType>),
    /// `struct<name: T, ...>`
    Struct(Vec<(String, DataType)>),
    /// `map<string, T>`
    Map(Box<DataType>),
}

/// The unit of a time or timestamp. Nanoseconds are left out: Spark, Athena and DuckDB do not read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
}

/// The most digits of a decimal: those of 128 bits.
pub const MOST_DIGITS: u8 = 38;

/// How deep types may nest.
const MAX_DEPTH: usize = 16;

/// A text that is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {position} of type `{text}`")]
pub struct DataTypeError {
    /// The whole text.
    pub text: String,
    /// Where it goes wrong, in characters from 1.
    pub position: usize,
    /// What is wrong.
    pub message: String,
}

impl FromStr for DataType {
    type Err = DataTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = Reader { text, chars: text.chars().collect(), at: 0 };
        let parsed = reader.data_type(0)?;
        reader.space();
        if reader.at < reader.chars.len() {
            return Err(reader.error("unexpected text"));
        }
        Ok(parsed)
    }
}

struct Reader<'a> {
    text: &'a str,
    chars: Vec<char>,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> DataTypeError {
        DataTypeError { text: self.text.to_owned(), position: self.at + 1, message: message.into() }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), DataTypeError> {
        self.space();
        if self.peek() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.error(format!("expected `{wanted}`")))
        }
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.peek() == Some(wanted);
        if found {
            self.at += 1;
        }
        found
    }

    fn word(&mut self) -> String {
        self.space();
        let mut word = String::new();
        while let Some(next) = self.peek().filter(|next| next.is_alphanumeric() || *next == '_') {
            word.push(next);
            self.at += 1;
        }
        word
    }

    fn number(&mut self) -> Result<u8, DataTypeError> {
        let word = self.word();
        word.parse().map_err(|_| self.error("expected a number"))
    }

    /// A struct member: a bare word or a quoted name with any characters.
    fn member(&mut self) -> Result<String, DataTypeError> {
        if !self.accept('"') {
            let word = self.word();
            return if word.is_empty() { Err(self.error("expected a member name")) } else { Ok(word) };
        }
        let mut name = String::new();
        while let Some(next) = self.peek() {
            self.at += 1;
            match next {
                '"' => return Ok(name),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        name.push(escaped);
                        self.at += 1;
                    }
                    _ => return Err(self.error("expected `\"` or `\\` after `\\`")),
                },
                other => name.push(other),
            }
        }
        Err(self.error("unterminated member name"))
    }

    fn unit(&mut self) -> Result<TimeUnit, DataTypeError> {
        self.expect('(')?;
        let unit = match self.word().as_str() {
            "ms" => TimeUnit::Millis,
            "us" => TimeUnit::Micros,
            _ => return Err(self.error("expected the unit `ms` or `us`")),
        };
        if self.accept(',') {
            let zone = self.word();
            if zone != "UTC" {
                return Err(self.error("expected the zone `UTC`: instants are kept as UTC"));
            }
        }
        self.expect(')')?;
        Ok(unit)
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, DataTypeError> {
        if depth > MAX_DEPTH {
            return Err(self.error("types nest too deeply"));
        }
        let word = self.word();
        Ok(match word.as_str() {
            "bool" => DataType::Bool,
            "int8" => DataType::Int(8),
            "int16" => DataType::Int(16),
            "int32" => DataType::Int(32),
            "int64" => DataType::Int(64),
            "uint8" => DataType::UInt(8),
            "uint16" => DataType::UInt(16),
            "uint32" => DataType::UInt(32),
            "uint64" => DataType::UInt(64),
            "float32" => DataType::Float32,
            "float64" => DataType::Float64,
            "string" => DataType::String,
            "binary" => DataType::Binary,
            "date" => DataType::Date,
            "json" => DataType::Json,
            "time" => DataType::Time(self.unit()?),
            "timestamp" => DataType::Timestamp(self.unit()?),
            "decimal" => {
                self.expect('(')?;
                let precision = self.number()?;
                self.expect(',')?;
                let scale = self.number()?;
                self.expect(')')?;
                if !(1..=MOST_DIGITS).contains(&precision) || scale > precision {
                    return Err(self.error("expected 1 <= precision <= 38 and scale <= precision"));
                }
                DataType::Decimal(precision, scale)
            }
            "list" => {
                self.expect('<')?;
                let item = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::List(Box::new(item))
            }
            "map" => {
                self.expect('<')?;
                if self.word() != "string" {
                    return Err(self.error("expected `string`: JSON objects have text keys"));
                }
                self.expect(',')?;
                let value = self.data_type(depth + 1)?;
                self.expect('>')?;
                DataType::Map(Box::new(value))
            }
            "struct" => {
                self.expect('<')?;
                let mut members: Vec<(String, DataType)> = Vec::new();
                loop {
                    let name = self.member()?;
                    if members.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
                        return Err(self.error(format!("member `{name}` stands twice")));
                    }
                    self.expect(':')?;
                    members.push((name, self.data_type(depth + 1)?));
                    if !self.accept(',') {
                        break;
                    }
                }
                self.expect('>')?;
                DataType::Struct(members)
            }
            "" => return Err(self.error("expected a type")),
            other => {
                let meant = known_elsewhere(other).map(|ours| format!("; did you mean `{ours}`?"));
                return Err(self.error(format!("unknown type `{other}`{}", meant.unwrap_or_default())));
            }
        })
    }
}

/// What a type is called here that other systems have under this name.
fn known_elsewhere(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "tinyint" | "byte" => "int8",
        "smallint" | "short" => "int16",
        "int" | "integer" | "bigint" | "long" => "int64",
        "float" | "double" | "real" | "number" => "float64",
        "numeric" | "dec" => "decimal(38,9)",
        "boolean" => "bool",
        "text" | "varchar" | "char" | "str" | "utf8" | "uuid" => "string",
        "bytes" | "blob" | "bytea" | "varbinary" => "binary",
        "datetime" | "timestamptz" | "instant" => "timestamp(us, UTC)",
        "array" => "list<...>",
        "object" | "record" | "row" => "struct<...>",
        "variant" | "any" => "json",
        _ => return None,
    })
}

impl fmt::Display for TimeUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Millis => "ms",
            Self::Micros => "us",
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int(bits) => write!(f, "int{bits}"),
            Self::UInt(bits) => write!(f, "uint{bits}"),
            Self::Float32 => f.write_str("float32"),
            Self::Float64 => f.write_str("float64"),
            Self::Decimal(precision, scale) => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Time(unit) => write!(f, "time({unit})"),
            Self::Timestamp(unit) => write!(f, "timestamp({unit}, UTC)"),
            Self::Json => f.write_str("json"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map(value) => write!(f, "map<string, {value}>"),
            Self::Struct(members) => {
                f.write_str("struct<")?;
                for (index, (name, member)) in members.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                        write!(f, "{name}: {member}")?;
                    } else {
                        write!(f, "\"{}\": {member}", name.replace('\\', "\\\\").replace('"', "\\\""))?;
                    }
                }
                f.write_str(">")
            }
        }
    }
}

impl DataType {
    /// The type as Hive, Athena and Glue write it. `json` columns are text there.
    pub fn hive(&self) -> String {
        match self {
            Self::Bool => "boolean".to_owned(),
            Self::Int(8) => "tinyint".to_owned(),
            Self::Int(16) | Self::UInt(8) => "smallint".to_owned(),
            Self::Int(32) | Self::UInt(16) => "int".to_owned(),
            Self::Int(_) | Self::UInt(32) | Self::Time(_) => "bigint".to_owned(),
            Self::UInt(_) => "decimal(20,0)".to_owned(),
            Self::Float32 => "float".to_owned(),
            Self::Float64 => "double".to_owned(),
            Self::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
            Self::String | Self::Json => "string".to_owned(),
            Self::Binary => "binary".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Timestamp(_) => "timestamp".to_owned(),
            Self::List(item) => format!("array<{}>", item.hive()),
            Self::Map(value) => format!("map<string,{}>", value.hive()),
            Self::Struct(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, member)| format!("{name}:{}", member.hive())).collect();
                format!("struct<{}>", members.join(","))
            }
        }
    }
}

impl Serialize for DataType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DataType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for DataType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DataType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "bool, int8..int64, uint8..uint64, float32, float64, decimal(p,s), string, binary, date, \
                time(ms|us), timestamp(ms|us, UTC), json, list<T>, struct<name: T, ...>, map<string, T>",
            "examples": ["int64", "decimal(10,2)", "timestamp(us, UTC)", "list<string>", "struct<lat: float64, lng: float64>"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_and_written_alike() {
        for text in [
            "bool",
            "uint64",
            "decimal(38,9)",
            "timestamp(us, UTC)",
            "time(ms)",
            "list<struct<a: int64, \"b c\": map<string, list<json>>>>",
        ] {
            let parsed: DataType = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!(
            "timestamp(ms)".parse::<DataType>().map(|t| t.to_string()),
            Ok("timestamp(ms, UTC)".into())
        );
    }

    #[test]
    fn wrong_types_say_where() {
        for (text, message) in [
            ("", "expected a type"),
            ("int7", "unknown type `int7` at"),
            ("list<Double>", "unknown type `Double`; did you mean `float64`?"),
            ("decimal(39,1)", "expected 1 <= precision"),
            ("list<int64", "expected `>`"),
            ("map<int64, string>", "expected `string`"),
            ("struct<a: int8, A: int8>", "stands twice"),
            ("int64 x", "unexpected text"),
            ("timestamp(ns)", "expected the unit"),
        ] {
            let error = text.parse::<DataType>().expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let deep = "list<".repeat(40) + "int8" + &">".repeat(40);
        assert!(deep.parse::<DataType>().is_err());
    }
}
