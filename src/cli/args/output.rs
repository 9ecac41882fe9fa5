//! The output format of commands that return data.

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum OutputFormat {
    /// For a person.
    #[default]
    Human,
    /// For a program: versioned, stable in order.
    Json,
}
