//! Durations as Go writes them: kubelets' configurations have them, and flags take them.

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
