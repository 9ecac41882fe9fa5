//! The report as one self-contained HTML file: the verdict, who verified whom, findings with remedies, certificates.

mod alike;
mod certificates;
mod checks;
mod connections;
mod findings;
mod head;
mod properties;
mod status;

use maud::{Markup, html};

use super::super::certificate_map::CertificateMap;
use super::summary::{RemedyText, Report};
use crate::html::{Page, Section};

/// The drawings of the certificates; empty where they are not known.
#[derive(Default)]
pub(crate) struct CertificateDrawings {
    /// The graph of certificates and their signers.
    pub(crate) graph: Markup,
    /// The timeline of expiry.
    pub(crate) timeline: Markup,
}

impl Report {
    /// Returns the report as one HTML file, which needs no other file and runs no script. Equal hosts and findings are grouped.
    #[must_use]
    pub fn to_html(&self, words: RemedyText<'_>, certificates: &CertificateMap) -> String {
        self.to_html_with(words, CertificateDrawings::of(certificates, self.started))
    }

    /// Like [`Self::to_html`], with the drawings of certificates that were not read from connections.
    pub(crate) fn to_html_with(&self, words: RemedyText<'_>, certificates: CertificateDrawings) -> String {
        let section = |id, heading, content| Section { id, heading, content };
        let page = Page {
            title: self.title(),
            head: self.head(),
            sections: vec![
                section("properties", "The six properties", self.properties()),
                section("findings", "What to do", self.problems(words)),
                section("connections", "Who verified whom", self.connections()),
                section("checks", "Checks", self.checks()),
                section("trust", "Who is signed by what", certificates.graph),
                section("expiry", "What expires when", certificates.timeline),
            ],
            foot: html! {
                "Written by clusterctl " (env!("CARGO_PKG_VERSION")) ". The same report as JSON has every finding in full."
            },
        };
        page.into_text()
    }
}
