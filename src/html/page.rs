//! The frame of a page: head, policy, style, headings and navigation.

use base64ct::{Base64, Encoding};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::pki::fingerprint::Fingerprint;
use crate::sanitize::{sanitized, sanitized_lines};

/// The page's style. Its digest is in the page's Content-Security-Policy, so that no other style applies.
const STYLE: &str = include_str!("style.css");

/// A page.
pub(crate) struct Page {
    /// The title, which is also the main heading.
    pub(crate) title: String,
    /// The summary after the main heading.
    pub(crate) head: Markup,
    /// The sections. Those without content are left out.
    pub(crate) sections: Vec<Section>,
    /// The footer.
    pub(crate) foot: Markup,
}

/// A section of a page.
pub(crate) struct Section {
    /// The identifier that links lead to.
    pub(crate) id: &'static str,
    /// The heading.
    pub(crate) heading: &'static str,
    /// The content; if it is empty, the section is left out.
    pub(crate) content: Markup,
}

impl Page {
    /// Returns the file's content. Control characters and characters that change the direction of text are escaped.
    pub(crate) fn into_text(self) -> String {
        let sections: Vec<&Section> = self.sections.iter().filter(|one| !one.content.0.is_empty()).collect();
        let title = sanitized(&self.title);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#content" { "Skip to the content" }
                    header { h1 { (title) } (self.head) }
                    @if sections.len() > 2 {
                        nav aria-label="Sections" {
                            ul { @for one in &sections { li { a href={ "#" (one.id) } { (one.heading) } } } }
                        }
                    }
                    main #content tabindex="-1" {
                        @for one in &sections {
                            section id=(one.id) aria-labelledby={ (one.id) "-heading" } {
                                h2 id={ (one.id) "-heading" } { (one.heading) }
                                (one.content)
                            }
                        }
                    }
                    footer { p { (self.foot) } }
                }
            }
        };
        sanitized_lines(&page.into_string()) + "\n"
    }
}

fn policy() -> String {
    let digest = Base64::encode_string(Fingerprint::of(STYLE.as_bytes()).bytes());
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str, content: &str) -> String {
        let section = |id, content: Markup| Section { id, heading: "One", content };
        Page {
            title: title.to_owned(),
            head: html! {},
            sections: vec![section("a", html! { p { (content) } }), section("b", html! {})],
            foot: html! { "end" },
        }
        .into_text()
    }

    #[test]
    fn text_is_escaped_and_empty_sections_are_left_out() {
        let page = page("<script>\u{202e}", "</p><img src=x onerror=y>\u{1b}");
        assert!(page.contains("&lt;script&gt;\\u{202e}") && !page.contains("<script"), "{page}");
        assert!(page.contains("<p>&lt;/p&gt;&lt;img src=x onerror=y&gt;\\u{1b}</p>"), "{page}");
        assert!(page.contains("id=\"a\"") && !page.contains("id=\"b\""), "{page}");
    }

    #[test]
    fn the_style_contains_nothing_that_the_page_escapes() {
        assert_eq!(sanitized_lines(STYLE), STYLE);
        assert!(!STYLE.contains('<') && STYLE.is_ascii());
    }
}
