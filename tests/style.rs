//! Tests assert on typed values, ids, exit statuses, files and snapshots, not on sentences of the program.

use std::path::{Path, PathBuf};

/// Methods that search for a text in another.
const CALLS: [&str; 4] = ["contains", "starts_with", "ends_with", "matches"];
/// The number of consecutive words that make a sentence.
const WORDS: usize = 3;
/// The beginnings of the program's messages.
const MESSAGES: [&str; 4] = ["error: ", "warning: ", "hint: ", "caused by: "];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

/// Returns the string literal that `text` begins with, after `&` and `format!(`.
fn literal(text: &str) -> Option<&str> {
    let text = text.trim_start().trim_start_matches('&').trim_start_matches("format!(").trim_start();
    let inner = text.strip_prefix('"')?;
    let end = inner.char_indices().find(|(i, c)| *c == '"' && !inner[..*i].ends_with('\\'))?.0;
    Some(&inner[..end])
}

fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_end_matches([',', '.', ':', ';']);
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || c == '\'')
    };
    let words: Vec<&str> = text.split(' ').collect();
    words.windows(WORDS).any(|run| run.iter().all(is_word))
}

/// Returns the searched texts in `source`: sentences, and texts that begin like a message.
fn sentences(source: &str) -> Vec<&str> {
    let arguments = |call: &&str| {
        let call = format!(".{call}(");
        source.match_indices(&call).map(|(at, call)| &source[at + call.len()..]).collect::<Vec<_>>()
    };
    let looked_for = CALLS.iter().flat_map(arguments);
    let looked_for = looked_for.filter_map(literal).filter(|text| is_sentence(text));
    // A snapshot in the source begins with `@`.
    let quoted = source.match_indices('"').filter(|(at, _)| !source[..*at].ends_with(['@', '\\']));
    let messages = quoted.filter_map(|(at, _)| literal(&source[at..]));
    let messages =
        messages.filter(|text| MESSAGES.iter().any(|begin| text.len() > begin.len() && text.starts_with(begin)));
    looked_for.chain(messages).collect()
}

/// A text of another program that a test may search for is a constant whose comment names that program.
#[test]
fn no_assertion_looks_for_a_sentence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in sources(&root.join("tests")) {
        let source = std::fs::read_to_string(&path).expect("text");
        let path = path.strip_prefix(root).expect("below").display();
        found.extend(sentences(&source).into_iter().map(|text| format!("{path}: {text:?}")));
    }
    assert!(found.is_empty(), "assert on a type, an id, a status or a snapshot instead:\n{}", found.join("\n"));
}

#[test]
fn sentences_are_recognized() {
    let call = |text: &str| format!("assert!(shown.contains({text}))");
    for text in ["\"there is nothing here\"", "&format!(\"{name} is not there\")", "\"Nothing to do: \""] {
        assert_eq!(sentences(&call(text)).len(), 1, "{text}");
    }
    for text in ["\"DIR/pki/ca.crt\"", "\"on kubelet-client\"", "\"systemctl --root=\"", "NO_SPACE"] {
        assert_eq!(sentences(&call(text)), [""; 0]);
    }
    assert_eq!(sentences("assert_eq!(ran.err, \"error: no\");").len(), 1);
    assert_eq!(sentences("line.starts_with(\"warning: \")").len(), 0);
}
