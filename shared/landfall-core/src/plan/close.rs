//! When a partition is over: by the arrival time of its objects, or by the date in their keys. Times are UTC.

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, civil::DateTime, tz::TimeZone};

use crate::layout::{Layout, PartitionLevel, PartitionSource, PartitionTransform};
use crate::record::KnownValue;

/// When the objects of a partition close it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Closing {
    /// No level tells a time.
    Never,
    /// The key tells when the partition is over; the grace is added.
    At(Timestamp),
    /// The arrival tells it: the unit in which an object arrived, and the grace. Nothing can join it later.
    After(Unit, SignedDuration),
}

impl Closing {
    /// How a partition of the layout closes.
    pub(super) fn of(layout: &Layout, partition: &[Option<KnownValue>]) -> Self {
        let grace = SignedDuration::from_secs(i64::from(layout.close_grace_seconds));
        match arrival_unit(layout) {
            Some(unit) => Self::After(unit, grace),
            None => key_end(layout, partition)
                .and_then(|end| end.checked_add(grace).ok())
                .map_or(Self::Never, Self::At),
        }
    }

    /// When the partition of an object that arrived at `arrived` closes.
    ///
    /// `None` as well for an object that arrived after its partition had closed: that one waits for company as any other, or
    /// each late object would make a file of its own.
    pub(super) fn closes_at(self, arrived: Timestamp) -> Option<Timestamp> {
        let closes = match self {
            Self::Never => return None,
            Self::At(closes) => closes,
            Self::After(unit, grace) => {
                end_of(unit, TimeZone::UTC.to_datetime(arrived))?.checked_add(grace).ok()?
            }
        };
        (arrived < closes).then_some(closes)
    }
}

/// A length of time that a partition spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    Hour,
    Day,
    Month,
    Year,
}

/// The shortest unit among the levels that come from the arrival.
fn arrival_unit(layout: &Layout) -> Option<Unit> {
    let levels = layout.partitions.iter().filter(|level| level.source == PartitionSource::Arrival);
    levels
        .filter_map(|level| match level.transform {
            PartitionTransform::Identity => None,
            PartitionTransform::Year => Some(Unit::Year),
            PartitionTransform::Month => Some(Unit::Month),
            PartitionTransform::Day | PartitionTransform::Date => Some(Unit::Day),
            PartitionTransform::Hour => Some(Unit::Hour),
        })
        .min()
}

/// The end of the partition that the values of the key tell: a `YYYY-MM-DD` at any level, or levels whose segments are named
/// `year`, `month`, `day`; and `hour` below a day.
fn key_end(layout: &Layout, partition: &[Option<KnownValue>]) -> Option<Timestamp> {
    let values: Vec<(&PartitionLevel, &str)> = layout
        .partitions
        .iter()
        .zip(partition)
        .filter(|(level, _)| level.source == PartitionSource::Key)
        .filter_map(|(level, known)| Some((level, known.as_ref()?.value.as_deref()?)))
        .collect();
    let number = |name: &str| {
        let (_, value) = values.iter().find(|(level, _)| level.reads().eq_ignore_ascii_case(name))?;
        digits(value)
    };
    let (unit, date) = if let Some(date) = values.iter().find_map(|(_, value)| date(value)) {
        (Unit::Day, date)
    } else {
        let year = number("year")?;
        let (month, day) = (number("month"), number("day"));
        let unit = match (month, day) {
            (None, _) => Unit::Year,
            (Some(_), None) => Unit::Month,
            (Some(_), Some(_)) => Unit::Day,
        };
        (unit, civil(year, month.unwrap_or(1), day.filter(|_| month.is_some()).unwrap_or(1))?)
    };
    match number("hour") {
        Some(hour) if unit == Unit::Day => {
            end_of(Unit::Hour, date.at(i8::try_from(hour).ok().filter(|hour| *hour < 24)?, 0, 0, 0))
        }
        _ => end_of(unit, date.at(0, 0, 0, 0)),
    }
}

/// A number of up to four digits.
fn digits(text: &str) -> Option<i16> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// `YYYY-MM-DD`.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let lengths = (year.len(), month.len(), day.len()) == (4, 2, 2) && parts.next().is_none();
    if lengths { civil(digits(year)?, digits(month)?, digits(day)?) } else { None }
}

fn civil(year: i16, month: i16, day: i16) -> Option<Date> {
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The end of the unit that `time` lies in.
fn end_of(unit: Unit, time: DateTime) -> Option<Timestamp> {
    let date = time.date();
    let end = match unit {
        Unit::Hour => date.at(time.hour(), 0, 0, 0).checked_add(1.hour()),
        Unit::Day => date.at(0, 0, 0, 0).checked_add(1.day()),
        Unit::Month => date.first_of_month().at(0, 0, 0, 0).checked_add(1.month()),
        Unit::Year => date.first_of_year().at(0, 0, 0, 0).checked_add(1.year()),
    };
    TimeZone::UTC.to_timestamp(end.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(levels: &[(&str, PartitionSource, PartitionTransform)]) -> Layout {
        Layout {
            partitions: levels
                .iter()
                .map(|(name, source, transform)| PartitionLevel {
                    name: Some((*name).to_owned()),
                    source: *source,
                    field: None,
                    transform: *transform,
                })
                .collect(),
            ..Layout::default()
        }
    }

    /// When the partition closes of an object that arrived at `arrived`, with these values of its key.
    fn closes(layout: &Layout, values: &[&str], arrived: &str) -> Option<String> {
        let known: Vec<Option<KnownValue>> =
            values.iter().map(|value| Some(KnownValue { value: Some((*value).to_owned()) })).collect();
        let arrived = arrived.parse().expect("a time");
        Closing::of(layout, &known).closes_at(arrived).map(|closes| closes.to_string())
    }

    #[test]
    fn an_arrival_partition_closes_at_the_end_of_its_shortest_unit() {
        use PartitionTransform::{Date, Day, Hour, Month, Year};
        for (transforms, expected) in [
            (&[Date, Hour][..], "2024-02-29T11:05:00Z"),
            (&[Year, Month, Day], "2024-03-01T00:05:00Z"),
            (&[Year, Month], "2024-03-01T00:05:00Z"),
            (&[Year], "2025-01-01T00:05:00Z"),
        ] {
            let levels: Vec<_> = transforms.iter().map(|t| ("p", PartitionSource::Arrival, *t)).collect();
            let values: Vec<&str> = transforms.iter().map(|_| "x").collect();
            let closes = closes(&layout(&levels), &values, "2024-02-29T10:59:59Z");
            assert_eq!(closes.as_deref(), Some(expected), "{transforms:?}");
        }
    }

    #[test]
    fn a_partition_of_the_key_closes_at_the_end_of_its_date() {
        let by = |names: &[&'static str]| {
            let levels: Vec<_> =
                names.iter().map(|n| (*n, PartitionSource::Key, PartitionTransform::Identity)).collect();
            layout(&levels)
        };
        let arrived = "2024-01-01T00:00:00Z";
        for (names, values, expected) in [
            (&["dt"][..], &["2024-02-29"][..], Some("2024-03-01T00:05:00Z")),
            (&["region", "dt"], &["eu", "2024-02-29"], Some("2024-03-01T00:05:00Z")),
            (&["dt", "hour"], &["2024-02-29", "7"], Some("2024-02-29T08:05:00Z")),
            (&["year", "month", "day"], &["2024", "02", "29"], Some("2024-03-01T00:05:00Z")),
            (&["year", "month", "day", "hour"], &["2024", "2", "29", "23"], Some("2024-03-01T00:05:00Z")),
            (&["year", "month"], &["2024", "12"], Some("2025-01-01T00:05:00Z")),
            (&["year", "day"], &["2024", "12"], Some("2025-01-01T00:05:00Z")),
            (&["dt", "hour"], &["2024-02-29", "24"], None),
            (&["dt"], &["2024-02-30"], None),
            (&["dt"], &["2024-2-29"], None),
            (&["month", "day"], &["2", "29"], None),
            (&["region"], &["2024"], None),
        ] {
            assert_eq!(closes(&by(names), values, arrived).as_deref(), expected, "{names:?} {values:?}");
        }
    }

    #[test]
    fn what_comes_after_the_close_closes_nothing() {
        let layout = layout(&[("dt", PartitionSource::Key, PartitionTransform::Identity)]);
        assert!(closes(&layout, &["2024-02-29"], "2024-03-01T00:04:59Z").is_some());
        assert_eq!(closes(&layout, &["2024-02-29"], "2024-03-01T00:05:00Z"), None);
    }

    #[test]
    fn a_partition_of_the_records_has_no_end() {
        let layout = layout(&[("c", PartitionSource::Column, PartitionTransform::Date)]);
        let arrived = "2024-03-01T00:00:00Z".parse().expect("a time");
        assert_eq!(Closing::of(&layout, &[None]).closes_at(arrived), None);
    }
}
