//! Text in HTML.

use crate::sanitize::sanitized;

/// Returns untrusted text escaped for HTML, so that it contains no markup.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in sanitized(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        assert_eq!(
            escaped("<script a='b'>\"&\u{1b}</script>"),
            "&lt;script a=&#39;b&#39;&gt;&quot;&amp;\\u{1b}&lt;/script&gt;"
        );
    }
}
