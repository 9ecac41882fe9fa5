//! Output: results go to stdout, commentary goes to stderr.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::progress::Progress;
use crate::sanitize::sanitized_lines;

/// An output stream.
pub struct Stream {
    /// The destination of the bytes.
    pub sink: Box<dyn Write + Send>,
    /// Whether it is a terminal.
    pub terminal: bool,
    /// Its width in columns, if known.
    pub width: Option<u16>,
}

/// The texts of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// The error.
    pub error: String,
    /// The causes, outermost first.
    pub causes: Vec<String>,
    /// The remedy.
    pub hint: Option<String>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The amount of commentary that is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Results, warnings and errors only.
    Quiet,
    /// Steps, too.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

/// The output streams and their settings.
pub struct Screen<'w> {
    out: &'w mut Stream,
    err: &'w mut Stream,
    verbosity: Verbosity,
    color_out: bool,
    color_err: bool,
    muted: bool,
    lost: Option<io::Error>,
}

impl<'w> Screen<'w> {
    /// Returns a screen that writes to `out` and `err`.
    pub fn new(
        out: &'w mut Stream,
        err: &'w mut Stream,
        verbosity: Verbosity,
        color: ColorChoice,
        no_color: bool,
    ) -> Self {
        let colored = |stream: &Stream| match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => stream.terminal && !no_color,
        };
        let (color_out, color_err) = (colored(out), colored(err));
        Self { out, err, verbosity, color_out, color_err, muted: false, lost: None }
    }

    /// Returns true if results may be coloured.
    #[must_use]
    pub fn color(&self) -> bool {
        self.color_out
    }

    /// Returns the terminal's width in columns, if results go to a terminal.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.out.width.filter(|_| self.out.terminal).map(usize::from)
    }

    /// Returns true with `--quiet`.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// Returns true with `--verbose`.
    #[must_use]
    pub fn verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Mutes or unmutes all output except errors, and returns the previous setting.
    ///
    /// For commands whose steps another command reports in its own words.
    pub fn mute(&mut self, muted: bool) -> bool {
        std::mem::replace(&mut self.muted, muted)
    }

    /// Prints a result, of one or more lines, to stdout.
    pub fn answer(&mut self, text: impl Display) {
        if self.muted {
            return;
        }
        if let Err(error) = self.put(&text.to_string()) {
            // A reader that closes its pipe early, as head does, is not an error.
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.lost.get_or_insert(error);
            }
        }
    }

    /// Prints a result that cannot be shown again. Returns false if it was not written, whatever the reason.
    pub fn answer_once(&mut self, text: impl Display) -> bool {
        self.muted || self.put(&text.to_string()).is_ok()
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        write!(self.out.sink, "{text}{end}").and_then(|()| self.out.sink.flush())
    }

    /// Prints a step: what is being done.
    pub fn step(&mut self, text: impl Display) {
        if self.verbosity > Verbosity::Quiet && !self.muted {
            self.comment(&text.to_string());
        }
    }

    /// Prints a warning: a problem that does not stop the command.
    pub fn warn(&mut self, text: impl Display) {
        if self.muted {
            return;
        }
        let label = self.label("warning:", AnsiColor::Yellow);
        self.labelled(&label, text);
    }

    /// Prints an error: what failed, why, and what to do.
    pub fn failure(&mut self, report: &ErrorReport) {
        let label = self.label("error:", AnsiColor::Red);
        self.labelled(&label, &report.error);
        for cause in &report.causes {
            self.comment(&format!("caused by: {cause}"));
        }
        if let Some(hint) = &report.hint {
            let label = self.label("hint:", AnsiColor::Cyan);
            self.labelled(&label, hint);
        }
    }

    /// Returns the progress over `total` items; shown on a terminal only, and only after half a second.
    #[must_use]
    pub fn progress(&self, label: &'static str, total: u64) -> Progress {
        Progress::new(label, total, self.err.terminal && self.verbosity > Verbosity::Quiet && !self.muted)
    }

    /// Returns the first error of writing a result, for example a full disk behind `>`.
    pub fn take_lost(&mut self) -> Option<io::Error> {
        self.lost.take()
    }

    fn label(&self, text: &str, color: AnsiColor) -> String {
        if !self.color_err {
            return text.to_owned();
        }
        let style = Style::new().bold().fg_color(Some(color.into()));
        format!("{style}{text}{style:#}")
    }

    fn comment(&mut self, text: &str) {
        self.write(&sanitized_lines(text));
    }

    fn labelled(&mut self, label: &str, text: impl Display) {
        self.write(&format!("{label} {}", sanitized_lines(&text.to_string())));
    }

    /// Writes a line. Untrusted text must already be escaped.
    fn write(&mut self, text: &str) {
        // If stderr is closed, the error cannot be shown anywhere.
        let _ = writeln!(self.err.sink, "{text}").and_then(|()| self.err.sink.flush());
    }
}

/// Returns the terminal's width in columns, if there is a terminal.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).or_else(|_| rustix::termios::tcgetwinsize(io::stderr()));
    size.ok().map(|size| size.ws_col).filter(|&columns| columns > 0)
}
