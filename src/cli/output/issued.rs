//! Certificates that were issued, or would be issued, as JSON.

use serde_json::json;

use super::certificates;
use crate::app::issue::{IssuePreview, PlannedCertificate};

/// Returns the document of `issue-master` and `issue-node`.
pub(crate) fn json(preview: &IssuePreview<'_>, is_dry_run: bool) -> String {
    let planned: Vec<PlannedCertificate> = preview.certificates().collect();
    let to_request: Vec<PlannedCertificate> = preview.to_request().collect();
    let document = json!({
        "schemaVersion": 1,
        "dryRun": is_dry_run,
        "serviceAccountKey": certificates::service_account(preview.service_account()),
        "certificates": planned.iter().map(certificates::json).collect::<Vec<_>>(),
        "kept": preview.kept(),
        "revoked": certificates::revoked(&preview.superseded().0),
        "hostsToDeliver": certificates::hosts(&planned),
        "hostsToRequest": certificates::hosts(&to_request),
    });
    format!("{document:#}")
}
