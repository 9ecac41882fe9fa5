//! Notices of rotations as text.

use crate::app::rotate::Notice;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::WithoutCredentialId(calls) => screen.warn(format_args!(
            "API servers before Kubernetes 1.32 do not report which certificate they saw, so {calls} of master.whoami prove the account \
             alone. That both roots' certificates are accepted or rejected as the phase requires is proven"
        )),
    }
}
