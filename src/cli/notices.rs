//! Notices of use cases as text.

mod admin;
mod init;
mod issue;
mod join;
mod revoke;
mod rotate;

use crate::app::Notice;
use crate::ui::Screen;

/// Shows a notice.
pub(super) fn show(notice: &Notice, screen: &mut Screen<'_>) {
    match notice {
        Notice::WaitingForLock { holder } => screen.step(format_args!("waiting for another clusterctl: {holder}")),
        Notice::Init(notice) => init::show(notice, screen),
        Notice::Join(notice) => join::show(notice, screen),
        Notice::Admin(notice) => admin::show(notice, screen),
        Notice::Issue(notice) => issue::show(notice, screen),
        Notice::Revoke(notice) => revoke::show(notice, screen),
        Notice::Rotate(notice) => rotate::show(notice, screen),
    }
}
