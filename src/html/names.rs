//! Collapsible lists of names, and wide content that scrolls.

use maud::{Markup, html};

use crate::sanitize::sanitized;

/// The maximum number of names that are shown directly; more are in a collapsed list.
const SHOWN: usize = 4;
/// The maximum number of names in a list.
const MAX_LISTED: usize = 2_000;

/// Returns names, or their number with a collapsed list. `what` is the kind of names, such as `nodes`.
pub(crate) fn named(names: &[&str], what: &str) -> Markup {
    html! {
        @if names.len() <= SHOWN {
            @for (i, name) in names.iter().enumerate() {
                @if i > 0 { ", " }
                span.name { (sanitized(name)) }
            }
        } @else {
            details.names {
                summary { (names.len()) " " (what) }
                p {
                    @for (i, name) in names.iter().take(MAX_LISTED).enumerate() {
                        @if i > 0 { ", " }
                        span.name { (sanitized(name)) }
                    }
                    @if names.len() > MAX_LISTED { " and " (names.len() - MAX_LISTED) " more" }
                }
            }
        }
    }
}

/// Returns content that scrolls sideways if it is wider than the page. It can be scrolled with the keyboard.
pub(crate) fn scrolling(label: &str, content: &Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (content) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted_and_markup_in_a_name_is_text() {
        let few = named(&["a<b>", "c\u{1b}"], "nodes").into_string();
        assert_eq!(few, "<span class=\"name\">a&lt;b&gt;</span>, <span class=\"name\">c\\u{1b}</span>");
        let names: Vec<String> = (0..3_000).map(|i| format!("n{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = named(&names, "nodes").into_string();
        assert!(many.contains("<summary>3000 nodes</summary>"), "{}", &many[..200]);
        assert_eq!(many.matches("<span").count(), MAX_LISTED);
    }
}
