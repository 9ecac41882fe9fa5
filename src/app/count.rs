//! Renders counts as text.

/// Returns a number of things as text, such as `1 certificate` or `2 certificates`.
#[must_use]
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Returns a number of certificates as text.
#[must_use]
pub fn certificates(count: usize) -> String {
    counted(count, "certificate")
}
