//! Collects lines and prints them in chunks, because a large cluster has hundreds of thousands.

use crate::ui::Screen;

/// The number of bytes that are printed at a time.
const CHUNK: usize = 64 << 10;

/// Lines that are not printed yet.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Adds a line, which ends with a line feed here.
    pub(super) fn add(&mut self, line: &str, screen: &mut Screen<'_>) {
        self.0.extend([line, "\n"]);
        if self.0.len() >= CHUNK {
            self.print(screen);
        }
    }

    /// Prints all lines.
    pub(super) fn print(&mut self, screen: &mut Screen<'_>) {
        if !self.0.is_empty() {
            screen.answer(&self.0);
            self.0.clear();
        }
    }
}
