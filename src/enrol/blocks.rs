//! Reads the PEM blocks in the text of a request. Damaged blocks are errors, and size and number are bounded.

use base64ct::{Base64, Encoding};

/// The largest size of a request's text, in bytes.
pub const MAX_TEXT: usize = 32 * 1024;
/// The largest number of blocks.
pub const MAX_BLOCKS: usize = 16;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
/// The number of characters in a line of base64 (RFC 7468 § 2).
const WIDTH: usize = 64;

/// A block: its label and its decoded content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The label, for example `CERTIFICATE REQUEST`.
    pub label: String,
    /// The content.
    pub content: Vec<u8>,
    /// The whole block as text, with its first and last line.
    pub text: String,
}

/// Errors of reading blocks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It is longer than [`MAX_TEXT`].
    #[error("it has {0} bytes, more than {MAX_TEXT}")]
    TooLarge(usize),
    /// There are more than [`MAX_BLOCKS`].
    #[error("it has more than {MAX_BLOCKS} PEM blocks")]
    TooMany,
    /// It is not text.
    #[error("it is not UTF-8")]
    NotText,
    /// A block without an end, or with a damaged content.
    #[error("the PEM block that begins at line {line} is damaged")]
    Damaged {
        /// The number of its first line, from 1.
        line: usize,
    },
}

/// Reads all blocks. Text between them is ignored.
///
/// # Errors
/// Returns an error if the text is too long, has too many blocks, or one of them is damaged.
pub fn read(text: &[u8]) -> Result<Vec<Block>, BlockError> {
    if text.len() > MAX_TEXT {
        return Err(BlockError::TooLarge(text.len()));
    }
    let text = std::str::from_utf8(text).map_err(|_| BlockError::NotText)?;
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(label) = line.trim_end().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else {
            continue;
        };
        if blocks.len() == MAX_BLOCKS {
            return Err(BlockError::TooMany);
        }
        let damaged = || BlockError::Damaged { line: at + 1 };
        let end = format!("{END}{label}{DASHES}");
        let (mut base64, mut whole) = (String::new(), format!("{}\n", line.trim_end()));
        loop {
            let (_, line) = lines.next().ok_or_else(damaged)?;
            let line = line.trim_end();
            whole.push_str(line);
            whole.push('\n');
            if line == end {
                break;
            }
            base64.push_str(line);
        }
        let content = Base64::decode_vec(&base64).map_err(|_| damaged())?;
        blocks.push(Block { label: label.to_owned(), content, text: whole });
    }
    Ok(blocks)
}

/// Returns a block as text.
#[must_use]
pub fn write(label: &str, content: &[u8]) -> String {
    let base64 = Base64::encode_string(content);
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    for line in base64.as_bytes().chunks(WIDTH) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str(&format!("{END}{label}{DASHES}\n"));
    text
}
