//! Dates and times from their text or epoch numbers, kept exactly.
//!
//! | format | a timestamp is written | a date |
//! |---|---|---|
//! | `iso` | `2026-05-19T10:15:00.25Z`, `2026-05-19 12:15:00+02:00`: RFC 3339, the offset is required | `2026-05-19` |
//! | `iso_utc` | `2026-05-19T10:15:00.25`: the same without an offset, read as UTC | `2026-05-19` |
//! | `epoch_seconds` and so on | a whole number of that unit | the same; it must be midnight |
//!
//! `T` may be `t` or one space, `Z` may be `z`. Leap seconds (`:60`) have no instant of their own and are refused, as are
//! years before 1 and after 9999. Digits beyond the column's unit are refused unless they are zeros.

use landfall_core::contract::TimeFormat;
use landfall_core::data_type::TimeUnit;

use crate::fault::ViolationCode;
use crate::number::Refusal;

const DAY_SECONDS: i64 = 86_400;
/// 0001-01-01 and 9999-12-31, in days since the epoch.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

const NO_DATE: Refusal = (ViolationCode::InvalidFormat, "expected a date written YYYY-MM-DD");
const NO_TIME: Refusal =
    (ViolationCode::InvalidFormat, "expected a time of day written HH:MM:SS or HH:MM:SS.f");
const NO_STAMP: Refusal = (
    ViolationCode::InvalidFormat,
    "expected a time written YYYY-MM-DDTHH:MM:SS with an offset, such as Z or +02:00",
);
const NO_UTC_STAMP: Refusal =
    (ViolationCode::InvalidFormat, "expected a time written YYYY-MM-DDTHH:MM:SS without an offset");
const LEAP: Refusal = (ViolationCode::OutOfRange, "a leap second has no instant of its own");
const OUTSIDE: Refusal = (ViolationCode::OutOfRange, "outside the years 0001 to 9999");
const OUTSIDE_DAY: Refusal = (ViolationCode::OutOfRange, "outside the 24 hours of a day");
const TOO_FINE: Refusal = (ViolationCode::Inexact, "the time has more digits than the column's unit");
const NOT_MIDNIGHT: Refusal = (ViolationCode::Inexact, "the time is not the beginning of a day (UTC)");

/// Units per second.
pub(crate) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Millis => 1_000,
        TimeUnit::Micros => 1_000_000,
    }
}

/// Days since the epoch of a proleptic Gregorian date.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since the epoch.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A reader of fixed-width fields.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits
            .iter()
            .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte & 15)))
    }

    fn one_of(&mut self, allowed: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        allowed.contains(first).then_some(*first)
    }

    /// Year, month, day as days since the epoch; the year may still be 0.
    fn date(&mut self) -> Option<(i64, i64)> {
        let year = self.digits(4)?;
        self.one_of(b"-")?;
        let month = self.digits(2)?;
        self.one_of(b"-")?;
        let day = self.digits(2)?;
        let valid = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        valid.then(|| (year, days_from_civil(year, month, day)))
    }

    /// Hours, minutes, seconds as seconds of the day; the second may be 60, marked by `true`.
    fn clock(&mut self) -> Option<(i64, bool)> {
        let hour = self.digits(2)?;
        self.one_of(b":")?;
        let minute = self.digits(2)?;
        self.one_of(b":")?;
        let second = self.digits(2)?;
        let valid = hour < 24 && minute < 60 && second <= 60;
        valid.then_some((hour * 3600 + minute * 60 + second, second == 60))
    }

    /// The fraction after the seconds, if any, in `unit`; `None` when it is not well-formed, an error when not exact.
    fn fraction(&mut self, unit: TimeUnit) -> Option<Result<i64, Refusal>> {
        if self.0.first() != Some(&b'.') {
            return Some(Ok(0));
        }
        let rest = self.0.get(1..)?;
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at_checked(length)?;
        if digits.is_empty() {
            return None;
        }
        self.0 = rest;
        let mut value = 0;
        let mut weight = per_second(unit) / 10;
        for digit in digits.iter().map(|byte| i64::from(byte & 15)) {
            if weight == 0 && digit != 0 {
                return Some(Err(TOO_FINE));
            }
            value += digit * weight;
            weight /= 10;
        }
        Some(Ok(value))
    }

    /// The offset from UTC in seconds.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.one_of(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)?;
        self.one_of(b":")?;
        let minutes = self.digits(2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

/// A date as days since the epoch.
pub(crate) fn date(text: &[u8]) -> Result<i32, Refusal> {
    let mut fields = Fields(text);
    let (_, days) = fields.date().ok_or(NO_DATE)?;
    if fields.0.is_empty() { day_in_range(days) } else { Err(NO_DATE) }
}

/// A number of days since the epoch, within the years 0001 to 9999.
pub(crate) fn day_in_range(days: i64) -> Result<i32, Refusal> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return Err(OUTSIDE);
    }
    i32::try_from(days).map_err(|_| OUTSIDE)
}

/// A time of day in `unit`s since midnight.
pub(crate) fn time_of_day(text: &[u8], unit: TimeUnit) -> Result<i64, Refusal> {
    let mut fields = Fields(text);
    let (seconds, leap) = fields.clock().ok_or(NO_TIME)?;
    let fraction = fields.fraction(unit).ok_or(NO_TIME)?;
    if !fields.0.is_empty() {
        return Err(NO_TIME);
    }
    if leap {
        return Err(LEAP);
    }
    Ok(seconds * per_second(unit) + fraction?)
}

/// An instant in `unit`s since the epoch. With `offset` one must be written, else none may.
pub(crate) fn timestamp(text: &[u8], unit: TimeUnit, offset: bool) -> Result<i64, Refusal> {
    let wrong = if offset { NO_STAMP } else { NO_UTC_STAMP };
    let mut fields = Fields(text);
    let (_, days) = fields.date().ok_or(wrong)?;
    fields.one_of(b"Tt ").ok_or(wrong)?;
    let (seconds, leap) = fields.clock().ok_or(wrong)?;
    let fraction = fields.fraction(unit).ok_or(wrong)?;
    let shift = if offset { fields.offset().ok_or(wrong)? } else { 0 };
    if !fields.0.is_empty() {
        return Err(wrong);
    }
    if leap {
        return Err(LEAP);
    }
    instant_in_range((days * DAY_SECONDS + seconds - shift) * per_second(unit) + fraction?, unit)
}

fn instant_in_range(instant: i64, unit: TimeUnit) -> Result<i64, Refusal> {
    let days = instant.div_euclid(DAY_SECONDS * per_second(unit));
    if (FIRST_DAY..=LAST_DAY).contains(&days) { Ok(instant) } else { Err(OUTSIDE) }
}

/// Units of an epoch format per second; `None` for texts.
pub(crate) fn epoch_unit(format: TimeFormat) -> Option<i64> {
    match format {
        TimeFormat::Iso | TimeFormat::IsoUtc => None,
        TimeFormat::EpochSeconds => Some(1),
        TimeFormat::EpochMillis => Some(1_000),
        TimeFormat::EpochMicros => Some(1_000_000),
    }
}

/// An instant in `unit`s since the epoch, from a number of units of any size of which `per_second` make a second.
pub(crate) fn timestamp_from_units(value: i128, per_second: i64, unit: TimeUnit) -> Result<i64, Refusal> {
    if per_second == self::per_second(unit)
        && let Ok(instant) = i64::try_from(value)
    {
        return instant_in_range(instant, unit);
    }
    let days = i64::try_from(value.div_euclid(i128::from(DAY_SECONDS) * i128::from(per_second)));
    day_in_range(days.map_err(|_| OUTSIDE)?)?;
    exactly(value, per_second, unit)
}

/// A time of day in `unit`s since midnight, from units of which `per_second` make a second.
pub(crate) fn time_from_units(value: i64, per_second: i64, unit: TimeUnit) -> Result<i64, Refusal> {
    let value = exactly(value.into(), per_second, unit)?;
    if (0..DAY_SECONDS * self::per_second(unit)).contains(&value) { Ok(value) } else { Err(OUTSIDE_DAY) }
}

/// The same length of time in `unit`s.
fn exactly(value: i128, per_second: i64, unit: TimeUnit) -> Result<i64, Refusal> {
    let (wanted, written) = (i128::from(self::per_second(unit)), i128::from(per_second));
    let value = value.checked_mul(wanted).ok_or(OUTSIDE)?;
    if value % written != 0 {
        return Err(TOO_FINE);
    }
    i64::try_from(value / written).map_err(|_| OUTSIDE)
}

/// An instant in `unit`s since the epoch, from a number of which `written_per_second` make a second.
pub(crate) fn timestamp_from_epoch(
    value: i64,
    written_per_second: i64,
    unit: TimeUnit,
) -> Result<i64, Refusal> {
    let wanted = per_second(unit);
    let instant = if wanted >= written_per_second {
        value.checked_mul(wanted / written_per_second).ok_or(OUTSIDE)?
    } else {
        let divisor = written_per_second / wanted;
        if value % divisor != 0 {
            return Err(TOO_FINE);
        }
        value / divisor
    };
    instant_in_range(instant, unit)
}

/// A date from a number of which `written_per_second` make a second.
pub(crate) fn date_from_epoch(value: i64, written_per_second: i64) -> Result<i32, Refusal> {
    let day = DAY_SECONDS * written_per_second;
    if value % day == 0 { day_in_range(value / day) } else { Err(NOT_MIDNIGHT) }
}

/// `YYYY-MM-DD`.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `HH:MM:SS`, with the fraction of the unit where it is not zero.
pub(crate) fn clock_text(value: i64, unit: TimeUnit) -> String {
    let (seconds, fraction) = (value.div_euclid(per_second(unit)), value.rem_euclid(per_second(unit)));
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        let width = if unit == TimeUnit::Millis { 3 } else { 6 };
        text.push_str(format!(".{fraction:0width$}").trim_end_matches('0'));
    }
    text
}

/// `YYYY-MM-DD HH:MM:SS` in UTC, as Hive writes a timestamp, with the fraction of the unit where it is not zero.
pub(crate) fn instant_text(instant: i64, unit: TimeUnit) -> String {
    let day = DAY_SECONDS * per_second(unit);
    format!("{} {}", date_text(instant.div_euclid(day)), clock_text(instant.rem_euclid(day), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_days() {
        for (text, expected) in [
            ("1970-01-01", Ok(0)),
            ("2000-02-29", Ok(11_016)),
            ("1969-12-31", Ok(-1)),
            ("0001-01-01", Ok(-719_162)),
            ("9999-12-31", Ok(2_932_896)),
            ("0000-12-31", Err(OUTSIDE)),
            ("1900-02-29", Err(NO_DATE)),
            ("2026-13-01", Err(NO_DATE)),
            ("2026-00-01", Err(NO_DATE)),
            ("2026-04-31", Err(NO_DATE)),
            ("2026-1-01", Err(NO_DATE)),
            ("2026-01-01T00:00:00Z", Err(NO_DATE)),
            ("+2026-01-01", Err(NO_DATE)),
            ("", Err(NO_DATE)),
        ] {
            assert_eq!(date(text.as_bytes()), expected, "{text}");
        }
        for days in (FIRST_DAY..=LAST_DAY).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn instants_need_the_declared_form() {
        let micros = |text: &str, offset| timestamp(text.as_bytes(), TimeUnit::Micros, offset);
        assert_eq!(micros("1970-01-01T00:00:00Z", true), Ok(0));
        assert_eq!(micros("1970-01-01t00:00:00.000001z", true), Ok(1));
        assert_eq!(micros("1970-01-01 02:00:00+02:00", true), Ok(0));
        assert_eq!(micros("1969-12-31T23:59:59.5-00:00", true), Ok(-500_000));
        assert_eq!(micros("1970-01-01T00:00:00.1234560000Z", true), Ok(123_456));
        assert_eq!(micros("1970-01-01T00:00:00.1234567Z", true), Err(TOO_FINE));
        assert_eq!(micros("1970-01-01T00:00:00", true), Err(NO_STAMP));
        assert_eq!(micros("1970-01-01T00:00:00Z", false), Err(NO_UTC_STAMP));
        assert_eq!(micros("1970-01-01 00:00:01", false), Ok(1_000_000));
        assert_eq!(micros("2016-12-31T23:59:60Z", true), Err(LEAP));
        assert_eq!(micros("1970-01-01T24:00:00Z", true), Err(NO_STAMP));
        assert_eq!(micros("1970-01-01T00:00Z", true), Err(NO_STAMP));
        assert_eq!(micros("1970-01-01T00:00:00.Z", true), Err(NO_STAMP));
        assert_eq!(micros("1970-01-01T00:00:00+0200", true), Err(NO_STAMP));
        assert_eq!(micros("1970-01-01T00:00:00Z ", true), Err(NO_STAMP));
        assert_eq!(micros("0000-06-01T00:00:00Z", true), Err(OUTSIDE));
        assert_eq!(micros("0001-01-01T00:00:00+00:01", true), Err(OUTSIDE));
        assert_eq!(micros("9999-12-31T23:59:59.999999-00:01", true), Err(OUTSIDE));
        assert!(micros("9999-12-31T23:59:59.999999Z", true).is_ok());
        assert_eq!(timestamp(b"1970-01-01T00:00:00.1239Z", TimeUnit::Millis, true), Err(TOO_FINE));
    }

    #[test]
    fn epoch_numbers_have_one_unit() {
        assert_eq!(timestamp_from_epoch(1, 1, TimeUnit::Micros), Ok(1_000_000));
        assert_eq!(timestamp_from_epoch(-1_500, 1_000, TimeUnit::Millis), Ok(-1_500));
        assert_eq!(timestamp_from_epoch(1_500, 1_000_000, TimeUnit::Millis), Err(TOO_FINE));
        assert_eq!(timestamp_from_epoch(2_000, 1_000_000, TimeUnit::Millis), Ok(2));
        assert_eq!(timestamp_from_epoch(i64::MAX, 1, TimeUnit::Micros), Err(OUTSIDE));
        assert_eq!(timestamp_from_epoch(1_700_000_000_000, 1, TimeUnit::Micros), Err(OUTSIDE));
        assert_eq!(date_from_epoch(86_400_000, 1_000), Ok(1));
        assert_eq!(date_from_epoch(-86_400, 1), Ok(-1));
        assert_eq!(date_from_epoch(1, 1), Err(NOT_MIDNIGHT));
    }

    #[test]
    fn times_of_day_end_before_midnight() {
        assert_eq!(time_of_day(b"00:00:00", TimeUnit::Millis), Ok(0));
        assert_eq!(time_of_day(b"23:59:59.999", TimeUnit::Millis), Ok(86_399_999));
        assert_eq!(time_of_day(b"23:59:59.9999", TimeUnit::Millis), Err(TOO_FINE));
        assert_eq!(time_of_day(b"24:00:00", TimeUnit::Millis), Err(NO_TIME));
        assert_eq!(time_of_day(b"12:00:60", TimeUnit::Millis), Err(LEAP));
        assert_eq!(time_of_day(b"12:00", TimeUnit::Millis), Err(NO_TIME));
        assert_eq!(time_of_day(b"12:00:00Z", TimeUnit::Millis), Err(NO_TIME));
    }
}
