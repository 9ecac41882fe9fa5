//! Parses Go's durations, and formats times as RFC 3339 and durations as text.

use time::{Duration, OffsetDateTime, UtcOffset};

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
}
