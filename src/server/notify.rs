//! Notifications to systemd (sd_notify(3)). Without systemd they have no effect.

use sd_notify::NotifyState;

/// Tells that the server accepts connections.
pub fn ready() {
    // Without systemd's socket nothing is notified.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
}

/// Tells that the server stops.
pub fn stopping() {
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
}
