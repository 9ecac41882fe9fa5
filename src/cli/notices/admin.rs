//! Notices of issuing an administrator's kubeconfig as text.

use crate::app::admin::Notice;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::LongValidity(validity) => screen.warn(format_args!(
            "{validity} is long for a person's certificate: until it expires, only a revocation takes its rights away, \
             and only at API servers that have the new rules. 90d is the default, and issue-admin is quick"
        )),
        Notice::ReplacedRecorded(serial) => screen.warn(format_args!(
            "the certificate that is replaced was not in the ledger. It is recorded now, and can be revoked with: \
             clusterctl revoke {serial}"
        )),
    }
}
