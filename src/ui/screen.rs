//! Two streams: stdout is the answer, stderr the commentary.

use std::fmt::Display;
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::progress::Progress;
use crate::sanitize::sanitized_lines;

/// Where output goes.
pub struct Stream {
    /// What takes the bytes.
    pub sink: Box<dyn Write + Send>,
    /// Whether a person watches it.
    pub terminal: bool,
    /// Its width in columns, where it is known.
    pub width: Option<u16>,
}

/// What is told of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// What could not be done.
    pub error: String,
    /// Why, from the outside in.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// When to colour.
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

/// How much commentary there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Answers, warnings and errors only.
    Quiet,
    /// Steps, too.
    #[default]
    Normal,
    /// Everything.
    Verbose,
}

/// The streams, and how to write on them.
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
    /// Writes on `out` and `err`.
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

    /// True when answers may be coloured.
    #[must_use]
    pub fn color(&self) -> bool {
        self.color_out
    }

    /// Returns the terminal's width in columns, where the answer goes to one.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.out.width.filter(|_| self.out.terminal).map(usize::from)
    }

    /// The answer's width in columns; 80 where nobody knows.
    #[must_use]
    pub fn width(&self) -> usize {
        self.out.width.map_or(80, usize::from)
    }

    /// True with `--quiet`.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.verbosity == Verbosity::Quiet
    }

    /// True with `--verbose`.
    #[must_use]
    pub fn verbose(&self) -> bool {
        self.verbosity == Verbosity::Verbose
    }

    /// Says nothing more, or speaks again: for steps that another command narrates. Failures are told all the same. Returns
    /// what was before.
    pub fn mute(&mut self, muted: bool) -> bool {
        std::mem::replace(&mut self.muted, muted)
    }

    /// Part of the answer: one line or several, to stdout.
    pub fn answer(&mut self, text: impl Display) {
        if self.muted {
            return;
        }
        let text = text.to_string();
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        if let Err(error) = write!(self.out.sink, "{text}{end}").and_then(|()| self.out.sink.flush()) {
            // A reader that has seen enough closes its pipe; that is no failure of ours.
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.lost.get_or_insert(error);
            }
        }
    }

    /// Commentary: what is being done.
    pub fn step(&mut self, text: impl Display) {
        if self.verbosity > Verbosity::Quiet && !self.muted {
            self.comment(&text.to_string());
        }
    }

    /// Commentary for those who want to know everything.
    pub fn detail(&mut self, text: impl Display) {
        if self.verbose() && !self.muted {
            self.comment(&text.to_string());
        }
    }

    /// Something that is not as it should be, and does not keep us from going on.
    pub fn warn(&mut self, text: impl Display) {
        if self.muted {
            return;
        }
        let label = self.label("warning:", AnsiColor::Yellow);
        self.labelled(&label, text);
    }

    /// A failure: what, why, and what to do.
    pub fn failure(&mut self, told: &ErrorReport) {
        let label = self.label("error:", AnsiColor::Red);
        self.labelled(&label, &told.error);
        for cause in &told.causes {
            self.comment(&format!("caused by: {cause}"));
        }
        if let Some(hint) = &told.hint {
            let label = self.label("hint:", AnsiColor::Cyan);
            self.labelled(&label, hint);
        }
    }

    /// Progress over `total` things; visible only to a person, and only when it takes over half a second.
    #[must_use]
    pub fn progress(&self, what: &'static str, total: u64) -> Progress {
        Progress::new(what, total, self.err.terminal && self.verbosity > Verbosity::Quiet && !self.muted)
    }

    /// The first error that kept an answer from being written, for example a full disk behind `>`.
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

    /// What it says of strangers' files is harmless by now.
    fn write(&mut self, text: &str) {
        // Nobody is left to be told when stderr is gone.
        let _ = writeln!(self.err.sink, "{text}").and_then(|()| self.err.sink.flush());
    }
}

/// The terminal's width in columns, where there is one.
#[must_use]
pub fn terminal_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).or_else(|_| rustix::termios::tcgetwinsize(io::stderr()));
    size.ok().map(|size| size.ws_col).filter(|&columns| columns > 0)
}
