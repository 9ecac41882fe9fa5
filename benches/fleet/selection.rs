//! The rows and the sizes that are measured.

/// The names of the rows. `reissue` and `issue` have several baselines, each of which is a line of the table.
pub(crate) const ROWS: [&str; 10] =
    ["load", "issue", "again", "one", "bundle", "plan", "verify", "reissue", "renew", "cold"];

/// Numbers of nodes that are measured unless others are named, and the one that `--large` adds.
const SIZES: [usize; 2] = [1_000, 10_000];
const LARGE: usize = 100_000;

/// What the arguments select. Nothing named means everything.
#[derive(Default)]
pub(crate) struct Selection {
    rows: Vec<String>,
    sizes: Vec<usize>,
    large: bool,
}

impl Selection {
    /// Reads the arguments, or returns why one is wrong. Cargo adds `--bench`.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut selection = Self::default();
        for argument in arguments {
            match argument.parse() {
                Ok(size) => selection.sizes.push(size),
                Err(_) if argument == "--large" => selection.large = true,
                Err(_) if argument == "--bench" => {}
                Err(_) if ROWS.contains(&argument.as_str()) => selection.rows.push(argument),
                Err(_) => {
                    let rows = ROWS.join(", ");
                    return Err(format!("{argument} is neither a number of nodes nor a row; rows: {rows}"));
                }
            }
        }
        selection.sizes.sort_unstable();
        Ok(selection)
    }

    /// Returns whether a row is measured.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|named| named == row)
    }

    /// Returns the numbers of nodes, the smallest first.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let named = if self.sizes.is_empty() { SIZES.to_vec() } else { self.sizes.clone() };
        named.into_iter().chain(self.large.then_some(LARGE)).collect()
    }
}
