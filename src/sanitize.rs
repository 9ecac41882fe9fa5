//! Escapes untrusted text before it reaches a terminal or a log.

/// Longer texts of peers are cut, in characters.
pub const LONGEST: usize = 600;

/// Returns untrusted text on one line, with all characters escaped that a terminal interprets or does not show.
///
/// Control characters, line breaks, invisible and direction-changing characters are escaped. A long text is truncated.
#[must_use]
pub fn sanitized(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (i, c) in text.chars().enumerate() {
        if i == LONGEST {
            out.push_str(" …");
            break;
        }
        push(&mut out, c);
    }
    out
}

/// Like [`sanitized`], for text of any length, in which line breaks and tabs are kept.
#[must_use]
pub fn sanitized_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { out.push(c) } else { push(&mut out, c) }
    }
    out
}

fn push(out: &mut String, c: char) {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
    if c.is_control() || invisible { out.extend(c.escape_unicode()) } else { out.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(sanitized("a\u{1b}[31mb\r\n\u{202e}c"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{202e}c");
        assert_eq!(sanitized(&"x".repeat(5000)).chars().count(), LONGEST + 2);
        assert_eq!(sanitized_lines("a\u{1b}]0;x\u{7}\n\tb\r"), "a\\u{1b}]0;x\\u{7}\n\tb\\u{d}");
    }
}
