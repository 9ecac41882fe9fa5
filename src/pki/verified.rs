//! The proof, as a type, that a value was checked.

/// A value that passed all checks. Only the issuer creates such values, and only such values can be written to a
/// cluster directory.
#[derive(Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Marks a value as checked.
    pub(super) fn new(checked: T) -> Self {
        Self(checked)
    }

    /// Returns the value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// Returns the value by ownership.
    pub fn into_inner(self) -> T {
        self.0
    }
}
