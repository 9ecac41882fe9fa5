//! Creates the certificates of `tests/data/oracle/paths.json`: one case for each rule of path validation, and for each
//! kind of trust file that common tools write. rcgen creates most of them; openssl creates old versions, weak keys and
//! weak hashes.

mod builder;
mod extensions;
mod names;
mod paths;
mod validity;

use super::cases::PathCase;
use builder::Corpus;

/// Makes all cases.
pub(super) fn made() -> Vec<PathCase> {
    let mut corpus = Corpus { cases: Vec::new(), folder: tempfile::tempdir().expect("a folder") };
    validity::dates(&mut corpus);
    validity::authority(&mut corpus);
    validity::key_usage(&mut corpus);
    validity::extended_key_usage(&mut corpus);
    validity::path_length(&mut corpus);
    extensions::name_constraints(&mut corpus);
    extensions::critical_extensions(&mut corpus);
    extensions::key_identifiers(&mut corpus);
    extensions::versions_and_serials(&mut corpus);
    paths::alternatives(&mut corpus);
    paths::strength(&mut corpus);
    names::names(&mut corpus);
    names::tools(&mut corpus);
    corpus.cases
}
