//! The page of `status --output html`, as Python's HTML parser sees it: nothing in it runs, loads or leads anywhere.

use serde_json::Value;
use time::Duration;

use super::pki::{lab, leaf, root};
use crate::support::outside::needs;
use crate::support::{Lab, NOW, python};

/// Reads a page: its elements with their attributes, its text, its style, and whether every element is closed in its place.
const READ: &str = r#"
import base64, hashlib, json, sys
from html.parser import HTMLParser
VOID = {"meta", "br", "line", "circle"}
class Page(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text, self.style, self.csp = [], [], [], [], "", ""
    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attributes]
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attributes:
            self.csp = dict(attributes)["content"]
        if tag not in {"meta"}:
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()
    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()
    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)
page = Page()
page.feed(sys.stdin.read())
page.close()
assert page.open == [], page.open
digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
json.dump({"tags": sorted(set(page.tags)), "attributes": sorted(set(page.attributes)), "text": " ".join(page.text),
           "csp": page.csp, "digest": digest, "style": page.style}, sys.stdout)
"#;

const TAGS: [&str; 34] = [
    "b", "body", "circle", "code", "details", "div", "h1", "h2", "head", "html", "li", "line", "main", "meta", "ol",
    "p", "section", "span", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr",
    "ul", // Not used yet, and harmless.
    "dl", "dt", "dd", "footer",
];
const ATTRIBUTES: [&str; 21] = [
    "aria-label",
    "charset",
    "class",
    "content",
    "cx",
    "cy",
    "http-equiv",
    "lang",
    "name",
    "r",
    "role",
    "scope",
    "viewbox",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
    "id",
    "open",
];

/// Returns the page, which must be self-contained.
fn page(lab: &Lab, args: &[&str]) -> Value {
    let ran = lab.run(&[&["status", "--output", "html"], args].concat());
    assert!(ran.status <= 1, "{ran}");
    let page = python(READ, ran.out.as_bytes());
    let within = |key: &str, allowed: &[&str]| {
        for found in page[key].as_array().expect("a list") {
            let found = found.as_str().expect("a name");
            assert!(allowed.contains(&found), "{key}: {found}");
        }
    };
    within("tags", &TAGS);
    within("attributes", &ATTRIBUTES);
    let policy = page["csp"].as_str().expect("a policy");
    let digest = page["digest"].as_str().expect("a digest");
    assert!(policy.starts_with("default-src 'none';") && policy.contains(&format!("'sha256-{digest}'")), "{policy}");
    let style = page["style"].as_str().expect("a style");
    for needed in ["prefers-color-scheme:dark", "@media print", ":focus-visible"] {
        assert!(style.contains(needed), "{needed}");
    }
    assert!(!style.contains("url(") && !style.contains("@import"));
    page
}

#[test]
fn a_page_lists_what_is_due_and_is_self_contained() {
    needs!("python3");
    let mut lab = Lab::issued();
    let valid = page(&lab, &[]);
    assert!(valid["text"].as_str().expect("text").contains("28"));
    lab.good(&["revoke", "--yes", "on"]);
    lab.now = NOW + Duration::days(250);
    let due = page(&lab, &[]);
    let text = due["text"].as_str().expect("text");
    for part in ["prod", "due", "revoked", "kubelet-client", "worker-b1", "clusterctl issue-master"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn untrusted_text_is_escaped() {
    needs!("openssl", "python3");
    let mut lab = lab();
    const MARKUP: &str = "<script>alert(1)<\\/script><img src=x onerror=alert(2)>";
    root(&lab, "pki/ca.crt", 3650, MARKUP);
    leaf(&lab, "pki/ca.crt", "pki/<img src=x onerror=alert(3)>\"'&.crt", 20, MARKUP);
    lab.write("pki/<b>damaged.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    lab.now += Duration::days(21);
    let page = page(&lab, &["--pki", "pki"]);
    let text = page["text"].as_str().expect("text");
    assert!(text.contains("pki/<img src=x onerror=alert(3)>\"'&.crt") && text.contains("<b>damaged.crt"), "{text}");
}
