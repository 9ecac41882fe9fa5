//! HTML pages as Python's HTML parser sees them: nothing in them runs, loads or leads anywhere, and their structure is sound.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::python;

/// Reads a page: its elements with their attributes, its text, its style and its policy. Fails where an element is not closed in its
/// place, an id is there twice, a link leads to no id, or a heading skips a level.
const READ: &str = r##"
import base64, hashlib, json, sys
from html.parser import HTMLParser
VOID = {"meta", "br"}
class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text, self.style, self.csp = [], {}, set(), [], "", ""
        self.ids, self.links, self.labels, self.level, self.unlabelled = [], [], [], 0, []
    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes), (tag, attributes)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes |= set(found)
        if tag == "meta" and found.get("http-equiv") == "Content-Security-Policy":
            assert self.csp == "" and self.open == ["html", "head"]
            self.csp = found["content"]
        if "id" in found:
            self.ids.append(found["id"])
        if "href" in found:
            self.links.append(found["href"])
        self.labels += [found[name] for name in ("aria-labelledby",) if name in found]
        if tag == "svg" and not (found.get("role") == "img" and found.get("aria-label")):
            self.unlabelled.append(tag)
        if tag == "th" and "scope" not in found:
            self.unlabelled.append(tag)
        if tag in ("h1", "h2", "h3"):
            assert int(tag[1]) <= self.level + 1, tag
            self.level = int(tag[1])
        if tag not in VOID:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        assert False, tag
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)
page = Page()
text = sys.stdin.read()
page.feed(text)
page.close()
assert page.open == [], page.open
assert len(page.ids) == len(set(page.ids)), sorted(page.ids)
assert all(link.startswith("#") and link[1:] in page.ids for link in page.links), page.links
assert all(label in page.ids for label in page.labels), page.labels
assert page.unlabelled == [], page.unlabelled
hidden = [c for c in text if c not in "\n\t" and (ord(c) < 32 or 0x7f <= ord(c) < 0xa0 or 0x200b <= ord(c) <= 0x200f or 0x202a <= ord(c) <= 0x202e)]
assert hidden == [], hidden
digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
json.dump({"tags": page.tags, "attributes": sorted(page.attributes), "text": " ".join(page.text), "csp": page.csp, "ids": page.ids,
           "digest": digest, "style": page.style, "links": page.links, "bytes": len(text.encode())}, sys.stdout)
"##;

/// The elements of pages.
const TAGS: &str = "a article b body br caption circle code dd details div dl dt footer g h1 h2 h3 head header html li line main meta nav \
                    ol p path rect section span strong style summary svg table tbody td text th thead time title tr ul";
/// The attributes of pages: none that runs, loads or submits something.
const ATTRIBUTES: &str = "aria-hidden aria-label aria-labelledby charset class colspan content cx cy d datetime height href http-equiv id \
                          lang name open r role rowspan rx scope tabindex title viewbox width x x1 x2 y y1 y2";

/// Reads a page, which must be self-contained. Where `CLUSTERCTL_PAGES` names a folder, the page is also written there, for a look at it
/// in a browser.
pub(crate) fn page(text: &str) -> Value {
    if let Some(folder) = std::env::var_os("CLUSTERCTL_PAGES") {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let test = std::thread::current().name().unwrap_or("page").replace("::", "-");
        let name = format!("{test}-{}.html", COUNT.fetch_add(1, Ordering::Relaxed));
        std::fs::write(Path::new(&folder).join(name), text).expect("written");
    }
    let page = python(READ, text.as_bytes());
    for (tag, _) in page["tags"].as_object().expect("a mapping") {
        assert!(TAGS.split_whitespace().any(|known| known == tag), "{tag}");
    }
    for attribute in page["attributes"].as_array().expect("a list") {
        let attribute = attribute.as_str().expect("a name");
        assert!(ATTRIBUTES.split_whitespace().any(|known| known == attribute), "{attribute}");
    }
    for landmark in ["header", "main", "footer", "h1", "title", "style"] {
        assert_eq!(
            page["tags"][landmark],
            1 + usize::from(landmark == "title") * titles_of_drawings(&page),
            "{landmark}"
        );
    }
    let (policy, digest) = (page["csp"].as_str().expect("a policy"), page["digest"].as_str().expect("a digest"));
    assert_eq!(policy, format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"));
    let style = page["style"].as_str().expect("a style");
    for needed in ["prefers-color-scheme:dark", "@media print", ":focus-visible"] {
        assert!(style.contains(needed), "{needed}");
    }
    assert!(!style.contains("url(") && !style.contains("@import") && !style.contains("://"), "{style}");
    page
}

/// Boxes of a graph and marks of a timeline have a title each.
fn titles_of_drawings(page: &Value) -> usize {
    ["g", "circle"].iter().map(|tag| page["tags"][tag].as_u64().unwrap_or(0) as usize).sum()
}

/// Returns the text of a page.
pub(crate) fn text(page: &Value) -> &str {
    page["text"].as_str().expect("text")
}
