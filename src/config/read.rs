//! Reads a `Cluster` from YAML, and reports all errors together.
//!
//! `serde_yaml`, which is no longer developed, is used for reading only, with visitors that return each scalar as it is
//! written, so a node called `on` keeps its name.

use std::collections::HashSet;

use serde::de::DeserializeSeed;

use super::de::{Mapping, Reading};
use super::path::{self, Step};
use super::raw::File;
use super::span::{self, Place};
use crate::cluster::config_error::{ConfigError, Reason};
use crate::cluster::spec::{Cluster, RawCluster};

/// The largest cluster file that is parsed, in bytes. A hundred thousand nodes need a third of it.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The limit of open brackets, and of list marks on a line, because `libyaml`'s work grows with the depth.
const MAX_DEPTH: usize = 200;
/// The limit of values, as far as they can be counted before parsing.
///
/// Each value costs `serde_yaml` about 150 bytes of memory. A node has about fifteen values.
const MAX_VALUES: usize = 8_000_000;
/// The number of errors that a message lists. A wrong key in a generated file is an error of each of its hosts.
const SHOWN_ERRORS: usize = 100;

/// Errors of parsing a cluster file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is larger than [`MAX_BYTES`]; both sizes in bytes.
    #[error("it has {size} bytes, and a cluster file has at most {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It is in another encoding, or binary data.
    #[error("it is not UTF-8 text (line {line})")]
    NotUtf8 {
        /// The line of the first wrong byte, from 1.
        line: usize,
    },
    /// It is empty, or has only comments.
    #[error("it is empty")]
    Empty,
    /// It is valid YAML, but not a mapping at the top.
    #[error("it is {found}, and a cluster file is a mapping that begins with `apiVersion: clusterctl/v1`")]
    NotAMapping {
        /// `a list`, `a string`.
        found: &'static str,
    },
    /// It has a second document after `---`.
    #[error("it has several YAML documents (the second begins {}), and a cluster file has one", at_line(*line))]
    SeveralDocuments {
        /// The line of the second document, from 1, if known.
        line: Option<usize>,
    },
    /// It is nested deeper than any cluster file.
    #[error("line {line}: its lists or mappings are nested over {limit} deep")]
    TooDeep {
        /// The line that exceeds the limit, from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// It has more values than any cluster file; they would exhaust the memory.
    #[error("it has over {limit} values")]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// It has a syntax error.
    #[error("{}", stopped(*line, message, errors))]
    Stopped {
        /// The line where reading stopped, from 1, if known.
        line: Option<usize>,
        /// The YAML reader's reason.
        message: String,
        /// The errors up to there.
        errors: Vec<ConfigError>,
    },
    /// Some values are invalid.
    #[error("{}", listed(errors))]
    Invalid {
        /// All errors, in the file's order.
        errors: Vec<ConfigError>,
    },
}

impl ReadError {
    /// Returns the errors of single values, in the file's order.
    #[must_use]
    pub fn errors(&self) -> &[ConfigError] {
        match self {
            Self::Stopped { errors, .. } | Self::Invalid { errors } => errors,
            _ => &[],
        }
    }

    /// Returns a hint for the user.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "check that this is the cluster file and not, for example, an archive or a log",
            Self::NotUtf8 { .. } => "save the file as UTF-8 text",
            Self::Empty => "write one with `clusterctl init`",
            Self::NotAMapping { .. } => "compare it with a file that `clusterctl init` writes",
            Self::SeveralDocuments { .. } => "keep one cluster in one file, and remove the line `---` between them",
            Self::TooDeep { .. } | Self::TooManyValues { .. } => "compare it with a file that `clusterctl init` writes",
            Self::Stopped { message, .. } if message.contains("cannot start any token") => {
                "YAML is indented with spaces, never with tabs, and a text that begins with @, ` or % needs quotes"
            }
            Self::Stopped { .. } => {
                "correct this first, then run the command again: the rest of the file could not be read"
            }
            Self::Invalid { .. } => "correct the file; these are all of its errors",
        }
    }
}

/// Reads a cluster file.
///
/// # Errors
/// Returns all errors together, each with its path and, if known, its line.
pub fn read(bytes: &[u8]) -> Result<Cluster, ReadError> {
    // libyaml counts a byte order mark as a column, and would read the second line as a second document.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reading = Reading::new(bytes.len());
    let raw = read_raw(bytes, &mut reading)?;
    let mut found = std::mem::take(&mut reading.errors);
    match raw.check() {
        Ok(cluster) if found.is_empty() => Ok(cluster),
        checked => {
            let of_values = checked.err().unwrap_or_default();
            // A value of the wrong type is not missing, and nothing below it was read.
            let shapes: HashSet<String> =
                found.iter().filter(|(f, _)| is_shape(f)).map(|(f, _)| f.path.clone()).collect();
            for error in of_values {
                let steps = path::steps_of(&error.path);
                if !ends_of_steps(&error.path).any(|end| shapes.contains(&error.path[..end])) {
                    found.push((error, steps));
                }
            }
            Err(ReadError::Invalid { errors: in_order(bytes, found) })
        }
    }
}

fn is_shape(error: &ConfigError) -> bool {
    matches!(error.reason, Reason::Shape { .. })
}

/// Returns the offsets at which the prefixes of a path end: `nodes`, `nodes[3]`, `nodes[3].addresses` …
fn ends_of_steps(path: &str) -> impl Iterator<Item = usize> {
    path.match_indices(['.', '[']).map(|(at, _)| at).chain(std::iter::once(path.len()))
}

/// Returns the unchecked texts of a cluster file; errors of its shape are in `reading`.
fn read_raw(bytes: &[u8], reading: &mut Reading) -> Result<RawCluster, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge { size: bytes.len(), limit: MAX_BYTES });
    }
    std::str::from_utf8(bytes).map_err(|e| ReadError::NotUtf8 { line: line_of(bytes, e.valid_up_to()) })?;
    refuse_expensive(bytes)?;
    let mut documents = serde_yaml::Deserializer::from_slice(bytes);
    let Some(document) = documents.next() else { return Err(ReadError::Empty) };
    let mut raw = RawCluster::default();
    let top = Mapping { into: &mut File::new(&mut raw), reading };
    if let Err(error) = top.deserialize(document) {
        let errors = in_order(bytes, std::mem::take(&mut reading.errors));
        let line = match errors.last() {
            Some(last) if reading.is_full => last.line,
            _ => error.location().map(|place| place.line()),
        };
        return Err(ReadError::Stopped { line, message: reason(&error), errors });
    }
    if let Some(second) = documents.next() {
        let line = span::Locate.deserialize(second).ok().flatten().map(|(line, _)| line);
        return Err(ReadError::SeveralDocuments { line });
    }
    match reading.top_shape {
        Some("nothing") => Err(ReadError::Empty),
        Some(found) => Err(ReadError::NotAMapping { found }),
        None => Ok(raw),
    }
}

/// Finds every error's line by reading the file again, and sorts the errors.
fn in_order(bytes: &[u8], found: Vec<(ConfigError, Vec<Step>)>) -> Vec<ConfigError> {
    if found.is_empty() {
        return Vec::new();
    }
    let paths: Vec<&[Step]> = found.iter().map(|(_, steps)| steps.as_slice()).collect();
    let document = serde_yaml::Deserializer::from_slice(bytes).next();
    let places = document.map_or_else(|| vec![None; paths.len()], |document| span::find(&paths, document));
    let mut placed: Vec<(Option<Place>, ConfigError)> =
        places.into_iter().zip(found.into_iter().map(|(f, _)| f)).collect();
    placed.sort_by_key(|(place, _)| *place);
    let with_line =
        |(place, error): (Option<Place>, ConfigError)| ConfigError { line: place.map(|(line, _)| line), ..error };
    placed.into_iter().map(with_line).collect()
}

/// Refuses files for which the parser would need minutes or gigabytes.
///
/// Brackets, dashes, colons and commas are also counted in comments and quotes, because no cluster file has that many.
fn refuse_expensive(bytes: &[u8]) -> Result<(), ReadError> {
    let (mut open, mut in_a_row, mut values) = (0_usize, 0_usize, 0_usize);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            b',' | b':' => values += 1,
            b'\n' => (values, in_a_row) = (values + 1, 0),
            b'\r' => in_a_row = 0,
            b'-' | b'?' if bytes.get(at + 1).is_none_or(|&next| next == b' ' || next == b'\t') => in_a_row += 1,
            _ => {}
        }
        if open > MAX_DEPTH || in_a_row > MAX_DEPTH {
            return Err(ReadError::TooDeep { line: line_of(bytes, at), limit: MAX_DEPTH });
        }
    }
    if values > MAX_VALUES { Err(ReadError::TooManyValues { limit: MAX_VALUES }) } else { Ok(()) }
}

/// Returns the YAML reader's reason without the position at its end.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    if text.contains("recursion limit exceeded") {
        return "lists or mappings are nested over 100 deep".to_owned();
    }
    match text.rsplit_once(" at line ") {
        // The position in `… while parsing a list at line 7` is that of the list.
        Some((reason, _)) if !reason.contains(", while ") => reason.to_owned(),
        _ => text,
    }
}

fn line_of(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

fn at_line(line: Option<usize>) -> String {
    line.map_or_else(|| "further down".to_owned(), |line| format!("in line {line}"))
}

fn listed(errors: &[ConfigError]) -> String {
    let count = match errors.len() {
        1 => "it has an error:".to_owned(),
        n => format!("it has {n} errors:"),
    };
    let lines = errors.iter().take(SHOWN_ERRORS).map(|error| format!("\n  {error}"));
    let more = errors.len().saturating_sub(SHOWN_ERRORS);
    let more = (more > 0).then(|| format!("\n  and {more} more"));
    std::iter::once(count).chain(lines).chain(more).collect()
}

fn stopped(line: Option<usize>, message: &str, errors: &[ConfigError]) -> String {
    let place = line.map(|line| format!(" in line {line}")).unwrap_or_default();
    let mut text = format!("reading stopped{place}: {message}");
    if !errors.is_empty() {
        text.push_str("\nbefore that line ");
        text.push_str(&listed(errors));
    }
    text
}
