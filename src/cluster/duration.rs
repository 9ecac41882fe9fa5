//! Parses Go's durations, and formats times as RFC 3339 and durations as text.

use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset};

/// Returns the seconds of a duration as Go writes it (`time.ParseDuration`): `1h30m`, `500ms`.
#[must_use]
pub fn in_seconds(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|&end| end > 0)?;
        let unit = rest[number..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |end| number + end);
        let of = match &rest[number..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += rest[..number].parse::<f64>().ok()? * of;
        rest = &rest[unit..];
    }
    Some(seconds)
}

/// Formats a time as RFC 3339 in UTC, to the second.
#[must_use]
pub fn stamp(time: OffsetDateTime) -> String {
    let t = time.to_offset(UtcOffset::UTC);
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", t.hour(), t.minute(), t.second())
}

/// Parses a time of RFC 3339.
///
/// The format of [`stamp`] is parsed here, because the ledger has three times for each certificate, and the general
/// parser takes several times as long.
#[must_use]
pub fn parse_stamp(text: &str) -> Option<OffsetDateTime> {
    in_utc_to_the_second(text.as_bytes()).or_else(|| OffsetDateTime::parse(text, &Rfc3339).ok())
}

/// Parses `2026-11-23T12:00:00Z`, and no other format.
fn in_utc_to_the_second(text: &[u8]) -> Option<OffsetDateTime> {
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, b'Z'] = text else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
    let two = |tens: u8, ones: u8| Some(digit(tens)? * 10 + digit(ones)?);
    let year = i32::from(two(y0, y1)?) * 100 + i32::from(two(y2, y3)?);
    let date = Date::from_calendar_date(year, Month::try_from(two(m0, m1)?).ok()?, two(d0, d1)?).ok()?;
    let time = Time::from_hms(two(h0, h1)?, two(i0, i1)?, two(s0, s1)?).ok()?;
    Some(date.with_time(time).assume_utc())
}

/// Formats a duration in its largest whole unit: `2 years`, `1 day`, `5 hours`, `12 minutes`, `40 seconds`.
#[must_use]
pub fn in_words(span: Duration) -> String {
    let seconds = span.whole_seconds().unsigned_abs();
    let (count, unit) = match seconds {
        s if s >= 2 * 365 * 86_400 => (s / (365 * 86_400), "year"),
        s if s >= 86_400 => (s / 86_400, "day"),
        s if s >= 3600 => (s / 3600, "hour"),
        s if s >= 60 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(in_seconds("1h2m3.5s"), Some(3723.5));
        assert_eq!(in_seconds("300s"), Some(300.0));
        for wrong in ["", "5", "m", "5 m", "1d", "-5m", "5m-"] {
            assert_eq!(in_seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_stamp_is_parsed_as_rfc_3339() {
        for text in [
            "2026-11-23T12:00:00Z",
            "2024-02-29T23:59:59Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-11-00T12:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-12-31T23:59:60Z",
            "2026-11-23t12:00:00z",
            "2026-11-23T12:00:00.25Z",
            "2026-11-23T12:00:00+01:00",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2026-11-23 12:00:00",
            "+026-11-23T12:00:00Z",
            "2026-11-2:T12:00:00Z",
            "",
        ] {
            assert_eq!(parse_stamp(text), OffsetDateTime::parse(text, &Rfc3339).ok(), "{text}");
        }
        let time = time::macros::datetime!(2026-11-23 12:34:56 UTC);
        assert_eq!(parse_stamp(&stamp(time)), Some(time));
    }
}
